//! Restores a backup into the empty database that the core made beside the live one, and compares every table with the
//! manifest. What is damaged is never made live.
//!
//! It connects as the migration's role and acts as the application's owner: what is in a dump runs with the rights that
//! the application has itself, and no more.

use std::path::Path;
use std::time::{Duration, Instant};

use super::backup::{DUMP, GLOBALS};
use super::output::say;
use super::postgres::{connection_name, program};
use super::prove::archive::{Reader, checksum};
use super::prove::{content, decode, differs, read_manifest};
use super::{Job, Outcome, blocking, not_mine};
use crate::database::{Aside, Cluster};
use crate::model::backup::Manifest;
use crate::model::journal::{Cause, Output};
use crate::model::names::BackupName;
use crate::model::request::Work;
use crate::paths;

/// Statistics of a large database take their time; the unit's own time-out is behind this.
const ANALYZE: Duration = Duration::from_hours(1);

/// Restores.
///
/// # Errors
/// If the backup is damaged, or cannot be restored here.
pub async fn run(job: &Job) -> Outcome {
    let Work::Restore { backup } = &job.request.work else { return Err(not_mine()) };
    restore(job, &Cluster::for_restore(), backup).await
}

async fn restore(job: &Job, cluster: &Cluster, name: &BackupName) -> Outcome {
    let Some(database) = &job.settings.database else { return Err(not_mine()) };
    let Some(deployment) = job.request.for_deployment() else { return Err(not_mine()) };
    let room = Aside::restored(&database.name, deployment);
    let folder = job.at(&paths::backups(&job.settings.app)).join(name.as_str());
    let bad = |cause: Cause| Cause { what: format!("backup {name} is NOT good: {}", cause.what), ..cause };
    let (manifest, _) = read_manifest(&folder, name)?;
    let server = cluster.version().await?;
    let reader = read(&folder, &manifest, server).await.map_err(bad)?;
    fill(reader, cluster, room.name(), &database.owner).await.map_err(bad)?;
    timed("analyzed", cluster.analyze(room.name(), ANALYZE)).await?;
    let found = timed("compared", content(cluster, room.name(), &manifest)).await?;
    if let Some(cause) = differs(found) {
        return Err(bad(cause));
    }
    let (tables, rows) = (manifest.tables.len(), manifest.rows());
    Ok(Output::Loaded { database: room.name().to_owned(), tables, rows })
}

/// Makes sure that the files are what was written, and that all of the dump is an archive, before anything is filled.
async fn read(folder: &Path, manifest: &Manifest, server: u32) -> Result<Reader, Cause> {
    let (ours, theirs) = (server / 10_000, manifest.server / 10_000);
    if theirs > ours {
        return Err(Cause::new(format!("it was taken from PostgreSQL {theirs}, and this server is {ours}")));
    }
    let dump = folder.join(DUMP);
    for (path, file) in [(dump.clone(), manifest.dump.clone()), (folder.join(GLOBALS), manifest.globals.clone())] {
        timed("checksummed", blocking(move || checksum(&path, &file))).await?;
    }
    let reader = Reader { dump, program: program(server, "pg_restore")?, raw_bytes: manifest.raw_bytes };
    timed("decoded", decode(reader.clone(), vec!["--file=/dev/null".to_owned()])).await?;
    Ok(reader)
}

async fn fill(reader: Reader, cluster: &Cluster, room: &str, owner: &str) -> Result<(), Cause> {
    let mut arguments = vec!["--exit-on-error".to_owned(), "--no-tablespaces".to_owned(), "--no-password".to_owned()];
    // A copy must not fetch what others publish.
    arguments.push("--no-subscriptions".to_owned());
    arguments.push(format!("--role={owner}"));
    arguments.extend(cluster.options());
    arguments.push(format!("--dbname={}", connection_name(room)));
    let filled = timed("restored", decode(reader, arguments)).await;
    filled.map_err(|cause| {
        if cause.what.contains("permission denied to create extension") {
            let hint = "this extension is a superuser's to create: restore by hand as the head of globals.sql in the \
                        backup's folder says, or have a superuser mark it as trusted";
            return cause.hint(hint);
        }
        cause
    })
}

async fn timed<T, E>(what: &str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let began = Instant::now();
    let done = work.await?;
    let took = began.elapsed();
    say(&format!("{what} after {}.{} s", took.as_secs(), took.subsec_millis() / 100));
    Ok(done)
}

#[cfg(test)]
mod tests;
