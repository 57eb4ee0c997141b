//! Everything about one deployment.

use super::{Look, Tone, ending, field, fields, rehearsal, step};
use crate::model::notice::{Delivery, NoticeView};
use crate::model::outcome::Verdict;
use crate::model::view::DeploymentView;
use crate::when;

/// The screen.
#[must_use]
pub fn show(view: &DeploymentView, look: &Look) -> String {
    let tone = match view.verdict {
        Some(Verdict::Deployed) => Tone::Good,
        Some(Verdict::Failed | Verdict::Refused | Verdict::NeedsOperator) => Tone::Bad,
        Some(Verdict::RolledBack | Verdict::Aborted | Verdict::Superseded) | None => Tone::Odd,
    };
    let what = super::kind(&view.kind);
    let mut out = format!("{what} {} of {}: {}\n", view.id, view.app, look.paint(tone, &view.state));
    let asked = format!("{}, by {}, {}", view.wanted, view.by, when::moment(view.accepted, &look.zone));
    out += &field("asked", &asked, look);
    out += &field("trigger", &view.trigger.words(), look);
    if let Some(revision) = &view.revision {
        let subject = view.subject.as_deref().unwrap_or_default();
        out += &fields("revision", &[revision.as_str(), subject], look);
    }
    let after = match (view.from, &view.from_revision) {
        (Some(from), Some(revision)) => format!(", after {from} ({})", revision.short()),
        (Some(from), None) => format!(", after {from}"),
        (None, _) => ", the first one".to_owned(),
    };
    out += &field("release", &format!("{}{after}", view.release), look);
    out += &field("lane", view.lane.map(|lane| lane.word()).unwrap_or_default(), look);
    let pending: Vec<_> = view.pending.iter().map(migration).collect();
    out += &fields("migrations", &pending, look);
    if let Some(rehearsal) = &view.rehearsal {
        out += &rehearsal::report(rehearsal, look);
    }
    let took = when::lasted(view.ended.unwrap_or(look.now) - view.accepted);
    out += &field(if view.ended.is_some() { "took" } else { "so far" }, &took, look);
    out.push('\n');
    out.extend(view.steps.iter().map(|one| step(one, look)));
    out.push('\n');
    out += &ending::reasons(view, look);
    out + &fields("told", &view.notices.iter().flat_map(told).collect::<Vec<_>>(), look)
}

fn migration(pending: &crate::model::journal::Pending) -> String {
    let may_stay = if pending.nontransactional { " (may leave half of its work behind)" } else { "" };
    format!("{} {}{may_stay}", pending.revision, pending.title)
}

/// Who was told of a moment, and who was not.
fn told(notice: &NoticeView) -> Vec<String> {
    let word = |delivery: &Delivery| {
        let tries = match delivery.tries {
            0 | 1 => String::new(),
            tries => format!(" after {tries} tries"),
        };
        let problem = delivery.problem.as_ref().map(|problem| format!(": {problem}")).unwrap_or_default();
        format!("{}: {} {}{tries}{problem}", notice.moment, delivery.notice, delivery.state)
    };
    notice.deliveries.iter().map(word).collect()
}
