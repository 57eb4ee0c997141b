//! The end of a deployment: one line if it is good, and otherwise everything the next person needs, in the
//! order in which it is needed.

use super::{FIELD, Look, Tone, error, field, fields, gates, rehearsal, text};
use crate::model::gates::Reply;
use crate::model::journal::Felt;
use crate::model::outcome::Verdict;
use crate::model::step::Step;
use crate::model::view::DeploymentView;
use crate::when;

/// How many of the unit's last lines are shown; the journal has all of them.
const TAIL: usize = 50;

/// The line about a good end, and what users felt of it.
#[must_use]
pub fn good(view: &DeploymentView, look: &Look) -> String {
    let app = &view.app;
    let revision = view.revision.as_ref().map_or_else(|| view.wanted.as_str(), |sha| sha.short());
    let took = when::lasted(view.ended.unwrap_or(look.now) - view.accepted);
    // Good without a lane: it ended before the inspection chose one, because the revision is live.
    if view.lane.is_none() {
        let release = view.from.unwrap_or(view.release);
        let line = format!("nothing to do: {app} serves {revision} already, as release {release}");
        return look.paint(Tone::Good, &line) + "\n";
    }
    let line = if view.kind == "restore" {
        format!("restored {} of {app} in {took}, with release {}", view.wanted, view.release)
    } else if view.kind == "rollback" {
        format!("rolled back {app} to {revision}, release {} in {took}", view.release)
    } else {
        format!("deployed {app} {revision} as release {} in {took}", view.release)
    };
    let told = ["rollback", "restore"].contains(&view.kind.as_str());
    let database = view.database.as_deref().filter(|_| told).unwrap_or_default();
    let note = field("note", view.note.as_deref().unwrap_or_default(), look);
    let felt = field("users", &view.felt.map(|felt| users(&felt)).unwrap_or_default(), look);
    let window = rehearsal::window(view, look);
    format!("{}\n{felt}{window}{}{note}", look.paint(Tone::Good, &line), field("database", database, look))
}

/// What users felt, in few words.
fn users(felt: &Felt) -> String {
    let Felt { requests, failed, down_ms, slowest_ms } = felt;
    match failed {
        0 => format!("downtime 0 ms, slowest {slowest_ms} ms"),
        _ => format!("downtime {down_ms} ms ({failed} of {requests} requests failed), slowest {slowest_ms} ms"),
    }
}

/// All about a bad end: what failed and why, what serves now, what was undone and what was not, the database,
/// and the next command.
#[must_use]
pub fn bad(view: &DeploymentView, verdict: Verdict, look: &Look) -> String {
    let revision = view.revision.as_ref().filter(|_| view.kind != "restore");
    let wanted = revision.map_or_else(|| view.wanted.as_str(), |sha| sha.short());
    let (app, id) = (&view.app, view.id);
    let not = match view.kind.as_str() {
        "rollback" => "did not go back to",
        "restore" => "was not restored from",
        _ => "was not deployed at",
    };
    let what = match verdict {
        Verdict::Deployed => return good(view, look),
        Verdict::Failed => format!("{app} {not} {wanted}; production was not touched"),
        Verdict::RolledBack => format!("{app} {not} {wanted}; what was done is undone"),
        Verdict::Aborted if !view.steps.iter().any(|step| step.step.touches()) => {
            format!("{app} {not} {wanted}; aborted before production was touched")
        }
        Verdict::Aborted => format!("{app} {not} {wanted}; aborted, and what was done is undone"),
        Verdict::Refused => format!("{app} {not} {wanted}: refused by a gate; production was not touched"),
        Verdict::Superseded => format!("{app} {not} {wanted}: a newer order came while it waited"),
        Verdict::NeedsOperator => format!("{app} needs an operator after deployment {id} of {wanted}"),
    };
    error(&what, &[], look) + &reasons(view, look) + &fields("next", &next(view, verdict), look)
}

/// The same without headline and advice, as `show` has it.
#[must_use]
pub fn reasons(view: &DeploymentView, look: &Look) -> String {
    let mut out = String::new();
    let overridden = view.gates.iter().any(|answer| answer.reply == Reply::Overridden);
    if overridden || view.verdict == Some(Verdict::Refused) || view.state == "waiting" {
        out += &gates::answers(&view.gates, look);
    }
    if let Some(failure) = &view.failure {
        let cause = &failure.cause;
        out += &field("step", failure.step.word(), look);
        out += &field("cause", &cause.what, look);
        out += &field("hint", cause.hint.as_deref().unwrap_or_default(), look);
        if !cause.tail.is_empty() {
            let unit = cause.unit.as_ref().map_or("the step", |(unit, _)| unit.as_str());
            out += &field("output", &format!("the last lines of {unit}"), look);
            for line in &cause.tail[cause.tail.len().saturating_sub(TAIL)..] {
                let line = text::cut(line, look.width.saturating_sub(FIELD + 2));
                out += &format!("{}{} {line}\n", " ".repeat(FIELD), look.paint(Tone::Faint, "|"));
            }
        }
    }
    out += &field("now", &view.serving, look);
    out += &field("users", &view.felt.map(|felt| users(&felt)).unwrap_or_default(), look);
    out += &fields("undone", &view.undone, look);
    out += &fields("not undone", &not_undone(view), look);
    out += &rehearsal::window(view, look);
    out += &field("database", view.database.as_deref().unwrap_or_default(), look);
    // The gates stand above, each on its line.
    let note = view.note.as_deref().filter(|_| view.verdict != Some(Verdict::Refused));
    out += &field("note", note.unwrap_or_default(), look);
    out
}

/// Steps back whose last attempt failed.
fn not_undone(view: &DeploymentView) -> Vec<String> {
    let is_last = |at: usize| view.steps[at + 1..].iter().all(|later| later.step != view.steps[at].step);
    view.steps
        .iter()
        .enumerate()
        .filter(|(at, step)| step.step.is_back() && step.state == "failed" && is_last(*at))
        .map(|(_, step)| format!("{}: {}", step.step.word(), step.detail))
        .collect()
}

/// What to do, in this order.
fn next(view: &DeploymentView, verdict: Verdict) -> Vec<String> {
    let id = view.id;
    match verdict {
        Verdict::Deployed => Vec::new(),
        Verdict::Failed | Verdict::RolledBack => {
            vec![format!("`tsh-agent logs {id}` has everything that was said; mend the cause before you deploy again")]
        }
        Verdict::Refused => vec![
            "deploy again when the gates agree: `tsh-agent where` asks them".to_owned(),
            "or pass one, on record: `tsh-agent deploy --override GATE --reason TEXT`".to_owned(),
        ],
        Verdict::Superseded => vec!["`tsh-agent history` shows the newer one".to_owned()],
        Verdict::Aborted => vec!["`tsh-agent deploy` when you are ready".to_owned()],
        Verdict::NeedsOperator => way_out(view),
    }
}

/// The ways out of a deployment that could not be settled.
fn way_out(view: &DeploymentView) -> Vec<String> {
    let (app, id) = (&view.app, view.id);
    let mut ways = vec![format!("`tsh-agent show {id}` and `tsh-agent logs {id}` say why")];
    // As the core decides it: the intent counts, because requests may have been let in.
    if view.steps.iter().any(|step| matches!(step.step, Step::Open | Step::Settle)) {
        ways.push("forward: mend the code, then `tsh-agent deploy REVISION`".to_owned());
        if let Some(from) = view.from {
            ways.push(format!("back: `tsh-agent rollback --to {from}`, if that release knows the schema as it is now"));
        }
    } else if not_undone(view).is_empty() {
        ways.push("decide: mend the migration and `tsh-agent deploy REVISION`,".to_owned());
        ways.push(format!("or restore the backup, which lies in /var/backups/tsh-agent/{app}"));
    } else {
        ways.push("mend what stands in the way of undoing it".to_owned());
        ways.push(format!("`tsh-agent abort {id}` then tries the rollback again"));
    }
    ways
}
