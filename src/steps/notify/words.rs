//! The words of a notice, in the shape of each service.

use serde_json::{Value, json};

use super::Told;
use crate::model::notice::{EQUAL, Moment};
use crate::model::outcome::Verdict;
use crate::when;

/// Everything, for programs. Fields are only ever added.
pub(super) fn everything(told: &Told<'_>) -> Value {
    let message = told.message;
    let at = jiff::Timestamp::from_millisecond(message.at).map(|at| at.to_string()).unwrap_or_default();
    json!({
        "version": 1,
        "delivery": told.key(),
        "app": told.app,
        "deployment": told.id,
        "kind": message.kind,
        "state": message.moment.word(),
        "text": told.sentence(),
        "environment": told.environment,
        "host": told.host,
        "revision": message.revision,
        "subject": message.subject,
        "release": message.release,
        "from": message.from,
        "by": message.by,
        "at": at,
        "took_ms": message.took,
        "step": message.step,
        "cause": message.cause,
        "serving": message.serving,
        "note": message.note,
        "last_equal": message.last_equal,
    })
}

/// The lines below the sentence.
pub(super) fn body(told: &Told<'_>) -> String {
    let message = told.message;
    let mut lines = Vec::new();
    if let Some(revision) = &message.revision {
        lines.push(
            format!("{} {}", revision.short(), message.subject.as_deref().unwrap_or_default()).trim_end().to_owned(),
        );
    }
    if let (Some(step), Some(cause)) = (message.step, &message.cause) {
        lines.push(format!("{}: {cause}", step.word()));
    }
    lines.extend(message.serving.as_ref().map(|serving| format!("now: {serving}")));
    lines.extend(message.note.as_ref().map(|note| format!("note: {note}")));
    lines.push(match message.took {
        Some(took) => format!("asked for by {}, took {}", message.by, when::lasted(took)),
        None => format!("asked for by {}", message.by),
    });
    lines.push(format!("{} on {}: tsh-agent show {}", told.environment, told.host, told.id));
    if message.last_equal {
        lines.push(format!("the {EQUAL}rd equal failure in a row: no more are told until something changes"));
    }
    lines.join("\n")
}

/// All of it as text of at most `room` characters.
pub(super) fn short(told: &Told<'_>, room: usize) -> String {
    let text = format!("{}\n{}", told.sentence(), body(told));
    if text.chars().count() <= room {
        return text;
    }
    text.chars().take(room - 1).chain(['…']).collect()
}

/// Slack reads three characters as its own.
pub(super) fn slack(told: &Told<'_>) -> String {
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped(&short(told, 3000))
}

/// ntfy's priority and tag.
pub(super) fn urgency(moment: Moment) -> (&'static str, &'static str) {
    match moment {
        Moment::Accepted | Moment::Fetched => ("2", "arrow_forward"),
        Moment::Ended(Verdict::Deployed) => ("3", "white_check_mark"),
        Moment::Ended(Verdict::Aborted | Verdict::Superseded) => ("3", "stop_sign"),
        Moment::Ended(Verdict::Refused) => ("4", "no_entry"),
        Moment::Ended(Verdict::Failed) => ("4", "warning"),
        Moment::Ended(Verdict::RolledBack) => ("4", "leftwards_arrow_with_hook"),
        Moment::Ended(Verdict::NeedsOperator) => ("5", "rotating_light"),
    }
}
