//! What the gates answer: a line each, and under what is in the way, who can lift it.

use super::{Look, Tone, text};
use crate::model::gates::{Answer, Reply};
use crate::model::view::GatesView;
use crate::when;

/// The longest name of a gate.
const GATE: usize = 10;
/// The column in which the reason begins.
const REASON: usize = 4 + GATE + 2;

/// The screen; the answer to the question is first.
#[must_use]
pub fn gates(view: &GatesView, look: &Look) -> String {
    let app = &view.app;
    let blocked = view.answers.iter().any(in_the_way);
    let revision = view.revision.as_ref().map_or_else(String::new, |revision| format!(" at {}", revision.short()));
    let head = match (view.deployment, blocked) {
        (None, false) => format!("{app} can be deployed now"),
        (None, true) => format!("{app} cannot be deployed now"),
        (Some(id), false) => format!("nothing is in the way of deployment {id} of {app}{revision}"),
        (Some(id), true) => format!("deployment {id} of {app}{revision} is held back"),
    };
    let tone = if blocked { Tone::Bad } else { Tone::Good };
    let lines: String = view.answers.iter().map(|answer| line(answer, look)).collect();
    format!("{}\n{lines}", look.paint(tone, &text::fit(&head, look.width)))
}

/// Those that matter once it is over: all that were asked.
#[must_use]
pub fn answers(answers: &[Answer], look: &Look) -> String {
    answers.iter().filter(|answer| answer.reply != Reply::Off).map(|answer| line(answer, look)).collect()
}

fn in_the_way(answer: &Answer) -> bool {
    matches!(answer.reply, Reply::Wait { .. } | Reply::Refuse)
}

fn line(answer: &Answer, look: &Look) -> String {
    let (tone, mark) = match answer.reply {
        Reply::Pass => (Tone::Good, "✓"),
        Reply::Overridden => (Tone::Odd, "!"),
        Reply::Off | Reply::Open => (Tone::Faint, "·"),
        Reply::Wait { .. } => (Tone::Odd, "…"),
        Reply::Refuse => (Tone::Bad, "✗"),
    };
    let mut out = String::new();
    for line in text::wrap(&answer.reason, look.width.saturating_sub(REASON).max(20)) {
        out += &match out.is_empty() {
            true => format!("  {} {}  {line}\n", look.paint(tone, mark), text::pad(answer.gate.word(), GATE)),
            false => format!("{}{line}\n", " ".repeat(REASON)),
        };
    }
    if let Reply::Wait { until: Some(until) } = answer.reply {
        out += &format!("{}until {} at the latest\n", " ".repeat(REASON), when::minute(until, &look.zone));
    }
    if let Some(lift) = answer.lift.as_ref().filter(|_| in_the_way(answer)) {
        out += &format!("{}{} {lift}\n", " ".repeat(4), look.paint(Tone::Faint, "→"));
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::render::fixtures::{ASKED, look, sha};
    use crate::model::gates::Gate;
    use crate::model::names::DeploymentId;

    fn answer(gate: Gate, reply: Reply, reason: &str, lift: Option<&str>) -> Answer {
        Answer { gate, reply, reason: reason.into(), lift: lift.map(str::to_owned), since: None, seen: None }
    }

    #[test]
    fn the_answer_is_first_and_the_way_out_stands_below_what_is_in_the_way() {
        let mut view = GatesView {
            app: "tsh-erp".parse().unwrap(),
            deployment: Some(DeploymentId(43)),
            revision: Some(sha("3f2c1a9d")),
            at: ASKED,
            answers: vec![
                answer(
                    Gate::Lock,
                    Reply::Wait { until: Some(ASKED + 7 * 86_400_000) },
                    "locked by olga since Sat 2026-11-21 13:02 UTC: stocktaking until everything in the hall is counted",
                    Some("an operator: `tsh-agent unlock`"),
                ),
                answer(Gate::Freeze, Reply::Pass, "not frozen", None),
                answer(Gate::Windows, Reply::Off, "not configured", None),
                answer(Gate::Quarantine, Reply::Overridden, "failed in 41 (overridden: the network was down)", None),
                answer(Gate::Ancestry, Reply::Refuse, "3f2c1a9d does not descend from what runs (91ab3e0d)", None),
            ],
        };
        assert_snapshot!(gates(&view, &look()), @"
        deployment 43 of tsh-erp at 3f2c1a9d is held back
          … lock        locked by olga since Sat 2026-11-21 13:02 UTC: stocktaking until
                        everything in the hall is counted
                        until 2026-11-28 14:02 at the latest
            → an operator: `tsh-agent unlock`
          ✓ freeze      not frozen
          · windows     not configured
          ! quarantine  failed in 41 (overridden: the network was down)
          ✗ ancestry    3f2c1a9d does not descend from what runs (91ab3e0d)
        ");
        view.answers.retain(|answer| answer.gate == Gate::Freeze);
        view.deployment = None;
        assert_snapshot!(gates(&view, &look()), @"
        tsh-erp can be deployed now
          ✓ freeze      not frozen
        ");
    }
}
