//! Ancestry: a trigger only moves forward. A branch that was rewritten, or a delivery that was replayed, waits for a
//! person. It binds triggers only.

use super::Said;
use super::facts::Facts;

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    let (Some(revision), Some(running)) = (facts.revision, facts.running) else {
        return if facts.revision.is_none() { Said::open() } else { Said::pass("nothing runs yet") };
    };
    if revision == running {
        return Said::pass("it is what runs");
    }
    match facts.descends {
        Some(true) => Said::pass(format!("a descendant of what runs ({})", running.short())),
        _ if !facts.automatic => Said::pass("ordered by a person"),
        Some(false) => {
            Said::refuse(format!("{} does not descend from what runs ({})", revision.short(), running.short()))
                .lift(format!("an operator: `tsh-agent deploy {revision}`"))
        }
        None => Said::refuse(format!(
            "nobody knows whether {} descends from what runs ({}): the repository does not have it",
            revision.short(),
            running.short()
        ))
        .lift(format!("an operator: `tsh-agent deploy {revision}`")),
    }
}
