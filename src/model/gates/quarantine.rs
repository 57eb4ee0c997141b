//! Quarantine: a revision that failed or was rolled back is not tried again by a trigger. It binds triggers only.

use super::Said;
use super::facts::Facts;

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    let Some(revision) = facts.revision else {
        return match facts.standing.quarantined.len() {
            0 => Said::pass("no revision is quarantined"),
            1 => Said::pass("1 revision is quarantined"),
            n => Said::pass(format!("{n} revisions are quarantined")),
        };
    };
    let Some(failed) = facts.standing.quarantined.iter().find(|one| one.revision == *revision) else {
        return Said::pass("this revision has not failed here");
    };
    let what = format!("{} {} in deployment {}", revision.short(), failed.reason, failed.deployment);
    if facts.automatic {
        Said::refuse(what).lift(format!("an operator: `tsh-agent forgive {revision}`"))
    } else {
        Said::pass(format!("{what}; a person tries it again"))
    }
}
