//! The way a deployment takes through production.

use serde::{Deserialize, Serialize};

use super::journal::Pending;
use super::rehearsal::{Answer, Rehearsal, Trial};

/// How the switch is done: chosen by the inspection or by the rehearsal, and then fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// No pending migrations: only code changes.
    Code,
    /// Pending migrations while the old release goes on serving: it was proven to live on the new schema.
    Online,
    /// Pending migrations behind a closed door and a fenced database, with a twin to go back to.
    Fenced,
    /// Stop, back up, migrate, start. For servers without door and roles; weaker, never chosen silently.
    Stop,
}

impl Lane {
    /// The word people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Code => "code only",
            Self::Online => "online",
            Self::Fenced => "fenced",
            Self::Stop => "stop",
        }
    }
}

/// What speaks against migrating while the old release serves, a sentence each; nothing must.
///
/// `transactional` tells that all of the migration is the tool's own work in transactions, `budget` is how long a lock
/// may be held that somebody may have to wait for, in milliseconds.
#[must_use]
pub fn against_online(rehearsal: &Rehearsal, pending: &[Pending], transactional: bool, budget: u64) -> Vec<String> {
    let mut against = Vec::new();
    match &rehearsal.old {
        None => against.push("no release is live that could go on serving".to_owned()),
        Some(old) => against.extend(against_old(old)),
    }
    let migration = &rehearsal.migration;
    for lock in migration.locks.iter().filter(|lock| lock.blocks() && lock.ms > budget) {
        against.push(format!("{} is locked for {} ({})", lock.table, seconds(lock.ms), lock.mode_words()));
    }
    if let Some(outside) = pending.iter().find(|pending| pending.nontransactional) {
        against.push(format!("migration {} may leave half of its work behind", outside.revision));
    }
    if migration.transactions > 1 {
        // In between is a schema on which nobody was tried.
        against.push(format!("the migrations are {} transactions and not one", migration.transactions));
    }
    if !transactional {
        against.push("there are commands around the migrations, or their tool is not Alembic".to_owned());
    }
    against
}

fn against_old(old: &Trial) -> Vec<String> {
    let what = |answer: &Option<Answer>, tried: &str, key: &str| match answer {
        Some(Answer::Passed(_)) => None,
        Some(Answer::Failed(why)) => Some(format!("the old release {tried} on the new schema: {why}")),
        None => Some(format!("rehearsal.{key} is not configured")),
    };
    [what(&old.smoke, "fails its smoke test", "smoke"), what(&old.probe, "is not healthy", "serve")]
        .into_iter()
        .flatten()
        .collect()
}

/// Milliseconds as people read them.
#[must_use]
pub fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::super::rehearsal::{Held, testing::good};
    use super::*;

    fn against(change: fn(&mut Rehearsal)) -> String {
        let mut rehearsal = good("b");
        change(&mut rehearsal);
        against_online(&rehearsal, &[], true, 2000).join("; ")
    }

    fn held(mode: &str, ms: u64) -> Vec<Held> {
        vec![Held { table: "public.orders".into(), mode: mode.into(), ms }]
    }

    #[test]
    fn online_is_only_what_nothing_speaks_against() {
        assert_eq!(against(|_| ()), "");
        assert_eq!(against(|it| it.old = None), "no release is live that could go on serving");
        assert_eq!(against(|it| it.old.as_mut().unwrap().smoke = None), "rehearsal.smoke is not configured");
        assert_eq!(
            against(|it| it.old.as_mut().unwrap().probe = Some(Answer::Failed("no revision".into()))),
            "the old release is not healthy on the new schema: no revision"
        );
        assert_eq!(against(|it| it.migration.transactions = 3), "the migrations are 3 transactions and not one");
        assert_eq!(against(|it| it.new.smoke = None), "", "what the new release lacks, it lacks in every lane");
    }

    #[test]
    fn only_a_lock_that_somebody_waits_for_counts_and_only_beyond_the_budget() {
        assert_eq!(against(|it| it.migration.locks = held("AccessExclusiveLock", 2000)), "");
        assert_eq!(
            against(|it| it.migration.locks = held("AccessExclusiveLock", 2100)),
            "public.orders is locked for 2.1 s (ACCESS EXCLUSIVE)"
        );
        assert_eq!(against(|it| it.migration.locks = held("ShareUpdateExclusiveLock", 60_000)), "");
        assert!(against(|it| it.migration.locks = held("RowExclusiveLock", 60_000)).contains("ROW EXCLUSIVE"));
    }

    #[test]
    fn half_of_a_migration_is_never_left_to_the_old_release() {
        let pending =
            [Pending { revision: "b".parse().unwrap(), title: "adds an index".into(), nontransactional: true }];
        assert_eq!(against_online(&good("b"), &pending, true, 2000).len(), 1);
        assert_eq!(against_online(&good("b"), &[], false, 2000).len(), 1);
    }
}
