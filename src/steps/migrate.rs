//! Runs the pending migrations, as the migration's role, to exactly the revisions that were inspected.

mod patience;

use std::ffi::OsString;

use tokio::time::Instant;

use super::tool::Tool;
use super::{Job, Outcome, not_mine};
use crate::config::{Database, Migrations};
use crate::database::{Cluster, MIGRATOR};
use crate::model::journal::{Cause, Output};
use crate::model::names::SchemaRevision;
use crate::model::request::Work;

/// Migrates.
///
/// # Errors
/// If a command fails or the time is over, with PostgreSQL's own words where they can be found; or if an index was left
/// behind that does not work.
pub async fn run(job: &Job) -> Outcome {
    migrate(job, &Cluster::local_as(MIGRATOR)).await
}

async fn migrate(job: &Job, cluster: &Cluster) -> Outcome {
    let Work::Migrate { target, online } = &job.request.work else { return Err(not_mine()) };
    let Some(database) = &job.settings.database else { return Err(not_mine()) };
    if *online {
        patience::migrate(job, cluster, database, target).await?;
    } else {
        once(job, database, target, &[]).await?;
    }
    let invalid: Vec<String> = cluster.invalid_indexes(&database.name).await?.into_iter().collect();
    if !invalid.is_empty() {
        return Err(half_made(&invalid));
    }
    Ok(Output::Migrated { heads: target.clone() })
}

/// Runs all commands once, with these variables.
pub async fn once(
    job: &Job,
    database: &Database,
    target: &[SchemaRevision],
    environment: &[(OsString, OsString)],
) -> Result<(), Cause> {
    let tool = Tool::of(job);
    let deadline = Instant::now() + database.timeout;
    for argv in commands(&tool, &database.migrations, target)? {
        let left = deadline.saturating_duration_since(Instant::now());
        let finished = tool.command(&argv).env(environment.iter().cloned()).timeout(left).finish().await?;
        if !finished.status.success() {
            return Err(explain(finished.cause(), &finished.lines, &database.owner));
        }
    }
    Ok(())
}

/// The tool said nothing about it: an index that could not be finished is there, and slows down every write.
pub fn half_made(indexes: &[String]) -> Cause {
    let names = indexes.join(", ");
    Cause::new(format!("the migration left an index that does not work: {names}"))
        .hint(format!("see why it cannot be made, then as its owner: drop index concurrently {names}"))
}

/// The commands in order.
fn commands(tool: &Tool, migrations: &Migrations, target: &[SchemaRevision]) -> Result<Vec<Vec<String>>, Cause> {
    let (before, own, after): (&[_], Vec<_>, &[_]) = match migrations {
        Migrations::Alembic { ini, before, after, .. } => {
            if target.is_empty() {
                return Err(Cause::new("bad request: it names no revision to migrate to"));
            }
            let ini = ini.display().to_string();
            // Never the word "head": what was inspected and announced is what is run.
            let upgrade =
                |revision: &SchemaRevision| tool.python(&["-m", "alembic", "-c", &ini, "upgrade", revision.as_str()]);
            (before, target.iter().map(upgrade).collect(), after)
        }
        Migrations::Django { manage, before, after } => {
            (before, vec![tool.python(&[&manage.display().to_string(), "migrate", "--noinput"])], after)
        }
        Migrations::Commands { run, .. } => (&[], run.clone(), &[]),
    };
    Ok(before.iter().cloned().chain(own).chain(after.iter().cloned()).collect())
}

/// Makes PostgreSQL's own words the sentence, and says what they usually mean here.
fn explain(cause: Cause, lines: &[String], owner: &str) -> Cause {
    let Some(said) = lines.iter().rev().find_map(|line| server_line(line)) else { return cause };
    let running = lines.iter().rev().find_map(|line| line.split_once("Running upgrade ")).map(|(_, rest)| rest.trim());
    let what = match running {
        Some(running) => format!("migration {running} failed: {said}"),
        None => format!("the migration failed: {said}"),
    };
    let lower = said.to_lowercase();
    let hint = if lower.contains("lock timeout") {
        Some(
            "another session held a lock on the table for longer than lock_timeout of role tsh-agent-migrate"
                .to_owned(),
        )
    } else if lower.contains("must be owner of") || lower.contains("permission denied") {
        Some(format!("it belongs to another role: as a superuser, give it to {owner} (alter … owner to \"{owner}\")"))
    } else if lower.contains("already exists") {
        Some("an earlier attempt outside of transactions may have left it behind; look, then drop it or stamp the revision".to_owned())
    } else {
        None
    };
    // SQLAlchemy says in which statement.
    let statement = lines.iter().rev().find_map(|line| line.strip_prefix("[SQL: "));
    let what = match statement {
        Some(statement) => format!("{what}; in: {}", statement.trim_end_matches(']')),
        None => what,
    };
    Cause { what, hint: hint.or(cause.hint), ..cause }
}

/// PostgreSQL's message in a line of a traceback or of psql.
fn server_line(line: &str) -> Option<String> {
    const DRIVERS: [&str; 6] =
        ["psycopg2.", "psycopg.", "asyncpg.exceptions.", "django.db.utils.", "sqlalchemy.exc.", "pg8000."];
    if let Some((_, said)) = line.split_once("ERROR:") {
        return Some(said.trim().to_owned());
    }
    if !DRIVERS.iter().any(|driver| line.starts_with(driver)) {
        return None;
    }
    let (_, said) = line.split_once(": ")?;
    // SQLAlchemy repeats the driver's class: "(psycopg2.errors.DuplicateColumn) column …".
    let said = match said.strip_prefix('(').and_then(|rest| rest.split_once(") ")) {
        Some((class, said)) if !class.contains(' ') => said,
        _ => said,
    };
    // asyncpg's is repeated once more: "<class 'asyncpg.exceptions.X'>: column …".
    let said = said.split_once("'>: ").map_or(said, |(_, said)| said);
    Some(said.trim().to_owned()).filter(|said| !said.is_empty())
}

#[cfg(test)]
mod tests;
