//! Migrating while the old release serves: it never waits long for a lock, because everybody else would wait behind it.
//! It gives up and tries again; what is cancelled is the migration, never somebody's work.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::once;
use crate::config::Database;
use crate::database::{Cluster, Queue};
use crate::model::journal::Cause;
use crate::model::names::SchemaRevision;
use crate::steps::Job;
use crate::steps::output::say;

/// How often it is tried.
const TRIES: u32 = 10;
/// Time for others to end what they began before.
const STRANGERS: Duration = Duration::from_secs(60);
/// Between two looks at who blocks.
const LOOK: Duration = Duration::from_millis(50);
/// How long it waits for one lock. Drivers that do not use PostgreSQL's own library do not read this, and have what is
/// set for the role.
const LOCK_TIMEOUT: &str = "-c lock_timeout=500ms";

/// Migrates, as often as it takes.
pub async fn migrate(
    job: &Job,
    cluster: &Cluster,
    database: &Database,
    target: &[SchemaRevision],
) -> Result<(), Cause> {
    let db = &database.name;
    let strangers = cluster.wait_for_strangers(db, STRANGERS).await?;
    if !strangers.is_empty() {
        let what = format!("somebody works on database {db} for longer than {} s", STRANGERS.as_secs());
        return Err(
            Cause { tail: strangers, ..Cause::new(what) }.hint("wait for its end, or end it; then deploy again")
        );
    }
    let options = std::env::var("PGOPTIONS").unwrap_or_default();
    let environment = [("PGOPTIONS".into(), format!("{options} {LOCK_TIMEOUT}").trim().into())];
    let mut queue = cluster.queue(db).await?;
    let mut tries = 1;
    loop {
        let mut blockers = Vec::new();
        let run = tokio::select! {
            run = once(job, database, target, &environment) => run,
            never = watch(&mut queue, &mut blockers) => never,
        };
        match run {
            Err(cause) if is_lock(&cause) => {
                let who = blockers.last().map(|who| format!(", held by {who}")).unwrap_or_default();
                if tries == TRIES {
                    let what = format!("a lock could not be had in {TRIES} tries{who}: {}", cause.what);
                    return Err(Cause { tail: blockers, what, ..cause });
                }
                let pause = pause(tries);
                say(&format!("try {tries} gave up waiting for a lock{who}; again in {:.1} s", pause.as_secs_f32()));
                tokio::time::sleep(pause).await;
                tries += 1;
            }
            other => return other,
        }
    }
}

/// Notes who blocks, until it is dropped. That nobody can be named does not stop the migration.
async fn watch(queue: &mut Queue, seen: &mut Vec<String>) -> Result<(), Cause> {
    let mut told = false;
    loop {
        let blockers = queue.blockers().await.unwrap_or_else(|error| {
            if !std::mem::replace(&mut told, true) {
                say(&format!("who blocks cannot be told: {error}"));
            }
            Vec::new()
        });
        for who in blockers {
            // The same one is in the same transaction a little longer each time.
            let head = |who: &str| who.split(", in a").next().map(str::to_owned);
            if !seen.iter().any(|known| head(known) == head(&who)) {
                seen.push(who);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether it is about a lock that was not to be had (55P03), or a deadlock (40P01), whatever driver says so.
fn is_lock(cause: &Cause) -> bool {
    let words = ["lock timeout", "locknotavailable", "lock_not_available", "deadlock"];
    let said = |text: &String| words.iter().any(|word| text.to_lowercase().contains(word));
    said(&cause.what) || cause.tail.iter().any(said)
}

/// Longer each time, and never the same: who comes in a rhythm must not always meet it.
fn pause(tries: u32) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let base = 250 * tries.min(6);
    Duration::from_millis(u64::from(base + now.subsec_nanos() % base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_locks_are_waited_for() {
        let tail = |line: &str| Cause { tail: vec![line.into()], ..Cause::new("it failed") };
        for line in [
            "psycopg.errors.LockNotAvailable: canceling statement due to lock timeout",
            "asyncpg.exceptions.DeadlockDetectedError: deadlock detected",
        ] {
            assert!(is_lock(&tail(line)), "{line}");
        }
        assert!(!is_lock(&tail("psycopg.errors.DivisionByZero: division by zero")));
    }

    #[test]
    fn a_pause_grows_and_has_an_end() {
        assert!((250..500).contains(&pause(1).as_millis()) && (1500..3000).contains(&pause(100).as_millis()));
    }
}
