//! The enumeration is itself tested: a machine that forgets is noticed.

use super::*;

/// The enumeration must notice when an intent does not reach the disk. Where repeating the step is harmless, nothing
/// is to be noticed, so those are not listed.
#[test]
fn a_lost_intent_is_noticed() {
    let fenced = [Step::Close, Step::Stop, Step::Fence, Step::Twin, Step::Migrate, Step::Switch, Step::Open];
    let slots = [Step::Stage, Step::Stop].map(|step| (step, Lane::Code, true));
    for (step, lane, slots) in fenced.map(|step| (step, Lane::Fenced, false)).into_iter().chain(slots) {
        let scripts: Vec<Script> = scripts()
            .into_iter()
            .filter(|script| script.lane == lane && script.slots == slots && !script.first)
            .map(|script| Script { lost_intent: Some(step), ..script })
            .collect();
        let (_, wrong) = enumerate(&scripts, 31, machine::next, true);
        assert!(!wrong.is_empty(), "losing the intent of {step:?} goes unnoticed");
    }
}

#[test]
fn a_missing_undo_is_noticed() {
    let all = without![Halt, Restore, SwitchBack, Unfence, Return, Reopen, ReturnWorkers];
    let staged = without![Halt, SwitchBack, Return, ReturnWorkers];
    let all = all.map(|(step, decide)| (step, decide, Lane::Fenced));
    for (step, decide, lane) in all.into_iter().chain(staged.map(|(step, decide)| (step, decide, Lane::Code))) {
        let scripts: Vec<Script> = scripts()
            .into_iter()
            .filter(|script| script.lane == lane && script.slots == (lane == Lane::Code) && !script.first)
            .collect();
        let (_, wrong) = enumerate(&scripts, 31, decide, true);
        assert!(!wrong.is_empty(), "doing without {step:?} goes unnoticed ({lane:?})");
    }
}
