//! CI: named checks must have ended well on exactly this revision. The newest run of each decides.
//!
//! | the newest run | answer |
//! |---|---|
//! | success | pass |
//! | failure, and all that forges call by other names: error, timed out, action required, stale | refuse |
//! | cancelled | refuse: it found nothing out |
//! | skipped | refuse: nothing was checked; `accept` may list it |
//! | neutral | refuse: it has no opinion; `accept` may list it |
//! | pending, running, manual, scheduled | wait |
//! | absent | wait: it may come |
//! | the forge does not answer, or limits us | wait |
//! | the forge does not let us, or does not know the repository | refuse |
//!
//! A wait that lasts too long is a refusal, as with every gate.

use core::time::Duration;

use super::Said;
use super::facts::Facts;
use super::outside::{Run, RunState, Told};

/// `[gates.ci]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Ci {
    /// The checks that must have ended well.
    pub checks: Vec<String>,
    /// What counts as that.
    pub accept: Vec<RunState>,
    /// How long a deployment waits for them.
    pub wait: Duration,
    /// How often the forge is asked meanwhile.
    pub every: Duration,
}

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    let Some(rule) = &facts.rules.ci else { return Said::off() };
    let Some(outside) = facts.outside else { return Said::open() };
    let Some(told) = &outside.checks else { return Said::unasked() };
    let again = Some(facts.soon(rule.every));
    let runs = match told {
        Told::Known(runs) => runs,
        Told::NotNow(why) => return Said::wait(again, why).lift("time; or a person with `--override ci`"),
        Told::Never(why) => return Said::refuse(why).lift("root: `[gates.forge]` in the settings"),
    };
    let mut pending = Vec::new();
    let mut bad = Vec::new();
    for name in &rule.checks {
        let newest = newest(runs, name);
        if newest.is_empty() {
            pending.push(format!("{name} is absent"));
        }
        for run in newest.into_iter().filter(|run| !rule.accept.contains(&run.state)) {
            let what = format!("{name} is {}", run.state.word());
            if run.state == RunState::Pending { pending.push(what) } else { bad.push(what) }
        }
    }
    if !bad.is_empty() {
        return Said::refuse(bad.join(", ")).lift("a new run on the forge, then deploy again");
    }
    if !pending.is_empty() {
        return Said::wait(again, pending.join(", ")).lift("the forge; or a person with `--override ci`");
    }
    Said::pass(format!("{} ended well", rule.checks.join(", ")))
}

/// The newest run of this check by each who runs one of that name: all of them must agree.
fn newest<'a>(runs: &'a [Run], name: &str) -> Vec<&'a Run> {
    let mut newest: Vec<&Run> = Vec::new();
    for run in runs.iter().filter(|run| run.name == name) {
        match newest.iter_mut().find(|other| other.source == run.source) {
            Some(other) if (other.at, other.id) < (run.at, run.id) => *other = run,
            Some(_) => {}
            None => newest.push(run),
        }
    }
    newest
}
