//! Freeze: nothing is deployed until a moment, and then it ends by itself.

use super::Said;
use super::facts::{Facts, HoldKind, moment};

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    match facts.standing.hold(HoldKind::Freeze) {
        Some(freeze) if freeze.until.is_none_or(|until| facts.now < until) => {
            let end = freeze.until.map_or_else(String::new, |until| format!(" until {}", moment(until, facts.rules)));
            Said::wait(freeze.until, format!("frozen by {}{end}: {}", freeze.by, freeze.reason))
                .lift("an operator: `tsh-agent unfreeze`")
        }
        _ => Said::pass("not frozen"),
    }
}
