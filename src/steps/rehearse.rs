//! Rehearses: proves the deployment's backup by restoring it, runs the pending migrations on the copy as the
//! migration's role would, and starts the new release and then the old one on the result.
//!
//! It has all of production's rows and a release that is not trusted yet, and so no network: what a release would tell
//! others, nobody hears.

use std::ffi::{OsStr, OsString};
use std::time::{Duration, Instant};

use super::output::say;
use super::prove::{self, PORT, Scratch};
use super::tool::Tool;
use super::{Job, Outcome, migrate, not_mine, probe};
use crate::config::{Database, Migrations};
use crate::database::MIGRATOR;
use crate::model::journal::{Cause, Output};
use crate::model::lane::{Lane, seconds};
use crate::model::names::{BackupName, ReleaseId, SchemaRevision, Sha};
use crate::model::rehearsal::{Answer, Rehearsal, Trial, Watched};
use crate::model::request::{Old, Work};

/// Time to count what is in the tables, without which no statement is planned as on production.
const ANALYZE: Duration = Duration::from_hours(1);

/// Rehearses.
///
/// # Errors
/// If the backup is not good, a migration fails, or the new release does not live on the new schema.
pub async fn run(job: &Job) -> Outcome {
    rehearse(job, &[]).await
}

/// The same, with words before each command that may not run as root.
async fn rehearse(job: &Job, wrap: &[String]) -> Outcome {
    let Work::Rehearse { backup, target, revision, old } = &job.request.work else { return Err(not_mine()) };
    let Some(database) = &job.settings.database else { return Err(not_mine()) };
    let began = Instant::now();
    let standing = prove::restore(job, backup, wrap).await?;
    let proof = millis(began);
    let stage = Stage { job, scratch: &standing.scratch, database, target };
    let played = stage.play(revision, old.as_ref()).await;
    let manifest = standing.end().await?;
    let Played { before, after, migration, new, old } = played?;
    Ok(Output::Rehearsed(Box::new(Rehearsal {
        backup: BackupName::clone(backup),
        database_bytes: manifest.database_bytes,
        rows: manifest.rows(),
        proof,
        target: target.clone(),
        before,
        after,
        migration,
        new,
        old,
        // Until the core has looked at it, it proves nothing.
        lane: Lane::Fenced,
        against: Vec::new(),
        window: None,
    })))
}

/// What there is to rehearse with.
struct Stage<'a> {
    job: &'a Job,
    scratch: &'a Scratch,
    database: &'a Database,
    target: &'a [SchemaRevision],
}

/// What came of it.
struct Played {
    before: String,
    after: String,
    migration: Watched,
    new: Trial,
    old: Option<Trial>,
}

impl Stage<'_> {
    async fn play(&self, revision: &Sha, old: Option<&Old>) -> Result<Played, Cause> {
        let (cluster, db) = (&self.scratch.cluster, &self.database.name);
        cluster.analyze(db, ANALYZE).await?;
        let books = self.database.migrations.books();
        let before = cluster.fingerprint(db, books).await?;
        let migration = self.migrate().await?;
        let after = cluster.fingerprint(db, books).await?;
        say(&format!(
            "migrated in {}: {} transactions, {} MB of log",
            seconds(migration.took),
            migration.transactions,
            migration.log_bytes / 1_000_000
        ));
        let new = self.attempt(self.job.request.release, Some(revision)).await;
        let new = Trial { revision: Some(revision.clone()), smoke: passed(new.0)?, probe: passed(new.1)? };
        let old = match old {
            None => None,
            Some(old) => {
                let (smoke, probe) = self.attempt(old.release, old.revision.as_ref()).await;
                Some(Trial { revision: old.revision.clone(), smoke: smoke.map(answer), probe: probe.map(answer) })
            }
        };
        Ok(Played { before, after, migration, new, old })
    }

    async fn migrate(&self) -> Result<Watched, Cause> {
        let (cluster, database) = (&self.scratch.cluster, self.database);
        let environment = self.environment(MIGRATOR);
        let mut watch = cluster.watch(&database.name, database.migrations.books()).await?;
        let failed = |cause: Cause| Cause { what: format!("in the rehearsal, {}", cause.what), ..cause };
        tokio::select! {
            migrated = migrate::once(self.job, database, self.target, &environment) => migrated.map_err(failed)?,
            looked = watch.look_on() => looked?,
        }
        let seen = watch.conclude().await?;
        if !seen.invalid.is_empty() {
            return Err(failed(migrate::half_made(&seen.invalid)));
        }
        if let Migrations::Alembic { table, .. } = &database.migrations {
            let at = cluster.schema_revisions(&database.name, table).await?;
            if at != self.target {
                let words = |all: &[SchemaRevision]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let what = format!("the migrations end at {} and not at {}", words(&at), words(self.target));
                return Err(failed(Cause::new(what)));
            }
        }
        Ok(seen)
    }

    /// The smoke test, and the release started and probed, each if it is configured.
    async fn attempt(
        &self,
        release: ReleaseId,
        revision: Option<&Sha>,
    ) -> (Option<Result<String, Cause>>, Option<Result<String, Cause>>) {
        let (job, configured) = (self.job, &self.job.settings.rehearsal);
        let (tool, environment) = (Tool::of_release(job, release), self.environment(&self.database.owner));
        let smoke = match &configured.smoke {
            None => None,
            Some(argv) => {
                let command = tool.command(argv).env(environment.clone()).timeout(configured.timeout);
                Some(command.run().await.map(|_| format!("`{}`", argv.join(" "))))
            }
        };
        let probe = match &configured.serve {
            None => None,
            Some(argv) => Some(tokio::select! {
                ended = tool.command(argv).env(environment).finish() => Err(match ended {
                    Ok(finished) => Cause { what: format!("it ended: {}", finished.cause().what), ..finished.cause() },
                    Err(cause) => cause,
                }),
                healthy = probe::until_healthy(job, release, revision, self.target) => healthy,
            }),
        };
        let word = |answer: &Option<Result<String, Cause>>| match answer {
            None => "not tried",
            Some(Ok(_)) => "passed",
            Some(Err(_)) => "failed",
        };
        say(&format!("release {release} on the new schema: smoke {}, probe {}", word(&smoke), word(&probe)));
        (smoke, probe)
    }

    /// The application's environment with this copy in the place of its database.
    fn environment(&self, role: &str) -> Vec<(OsString, OsString)> {
        let (room, db) = (self.scratch.room().display().to_string(), &self.database.name);
        let url = |scheme: &str| format!("{scheme}://{role}@/{db}?host={room}&port={PORT}");
        let libpq = [("PGHOST", room.as_str()), ("PGUSER", role), ("PGDATABASE", db.as_str())];
        let mut all: Vec<(OsString, OsString)> = libpq.map(|(name, value)| (name.into(), value.into())).into();
        all.push(("PGPORT".into(), PORT.to_string().into()));
        all.push(("DATABASE_URL".into(), url("postgresql").into()));
        for (name, value) in std::env::vars_os() {
            all.extend(scheme_of(&value, db).map(|scheme| (name, url(&scheme).into())));
        }
        let own = self.job.settings.rehearsal.environment.iter();
        all.extend(own.map(|(name, value)| (name.into(), value.into())));
        all
    }
}

/// The scheme of a URL of this database, such as `postgresql+asyncpg`: it chooses the driver.
fn scheme_of(value: &OsStr, db: &str) -> Option<String> {
    let url = reqwest::Url::parse(value.to_str()?).ok()?;
    let ours = url.scheme().starts_with("postgres") && url.path().strip_prefix('/') == Some(db);
    ours.then(|| url.scheme().to_owned())
}

/// What the new release fails in, it would fail in on production.
fn passed(tried: Option<Result<String, Cause>>) -> Result<Option<Answer>, Cause> {
    match tried {
        None => Ok(None),
        Some(Ok(how)) => Ok(Some(Answer::Passed(how))),
        Some(Err(cause)) => {
            Err(Cause { what: format!("in the rehearsal, on the new schema: {}", cause.what), ..cause })
        }
    }
}

fn answer(tried: Result<String, Cause>) -> Answer {
    tried.map_or_else(|cause| Answer::Failed(cause.what), Answer::Passed)
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
