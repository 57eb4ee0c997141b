//! Lock: a person has said that nobody deploys, until that person, or another, takes it back.

use super::Said;
use super::facts::{Facts, HoldKind, moment};

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    match facts.standing.hold(HoldKind::Lock) {
        None => Said::pass("not locked"),
        Some(lock) => {
            let since = moment(lock.at, facts.rules);
            Said::wait(None, format!("locked by {} since {since}: {}", lock.by, lock.reason))
                .lift("an operator: `tsh-agent unlock`")
        }
    }
}
