//! Backs a database up: the dump, what is bound to the database and to its roles, and a manifest of all rows, which were
//! read at the same moment. The folder gets its name only when all of it is on the disk.

mod dump;
mod forget;

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::output::say;
use super::postgres::{connection_name, program, version_of};
use super::sealed::{Seal, create};
use super::{Job, Outcome, blocking, not_mine};
use crate::config::Migrations;
use crate::database::{Aside, Cluster, Snapshot, create_database};
use crate::model::backup::{self as model, Level, Locale, Manifest};
use crate::model::journal::{Cause, Output};
use crate::model::names::{BackupName, ReleaseId, Sha};
use crate::model::request::Work;
use crate::paths;

/// The dump in the backup's folder.
pub const DUMP: &str = "db.dump.zst";
/// Roles and what is bound to the database, in the backup's folder.
pub const GLOBALS: &str = "globals.sql";
/// The manifest in the backup's folder.
pub const MANIFEST: &str = "manifest.json";
/// The ending of a folder that is not finished, or is being deleted.
const PART: &str = ".part";
/// What must stay free beside a backup: a disk that is full stops more than backups.
const RESERVE: u64 = 256 << 20;

/// Backs up, or deletes backups.
///
/// # Errors
/// If the server or one of its programs fails, or the disk does.
pub async fn run(job: &Job) -> Outcome {
    match &job.request.work {
        Work::Backup { running, revision, .. } => back_up(job, &Cluster::local(), *running, revision.clone()).await,
        Work::Forget { backups } => {
            let (home, doomed) = (job.at(&paths::backups(&job.settings.app)), backups.clone());
            blocking(move || forget::forget(&home, &doomed)).await
        }
        _ => Err(not_mine()),
    }
}

async fn back_up(job: &Job, cluster: &Cluster, running: Option<ReleaseId>, revision: Option<Sha>) -> Outcome {
    let Some(mut database) = job.settings.database.clone() else { return Err(not_mine()) };
    let quarantine = match &job.request.work {
        Work::Backup { quarantine, .. } => *quarantine,
        _ => return Err(not_mine()),
    };
    if let Some(deployment) = quarantine {
        database.name = Aside::quarantine(&database.name, deployment).name().to_owned();
    }
    let home = job.at(&paths::backups(&job.settings.app));
    let cannot = |error: std::io::Error| Cause::new(format!("cannot write a backup into {}: {error}", home.display()));
    let began = Instant::now();
    sweep(&home).map_err(cannot)?;

    let schema = match &database.migrations {
        Migrations::Alembic { table, .. } => cluster.schema_revisions(&database.name, table).await?,
        Migrations::Django { .. } | Migrations::Commands { .. } => Vec::new(),
    };
    let server = cluster.version().await?;
    let (pg_dump, pg_dumpall) = (program(server, "pg_dump")?, program(server, "pg_dumpall")?);
    let mut moment = cluster.snapshot(&database.name).await?;
    enough_space(&home, &moment)?;
    let now = jiff::Timestamp::now();
    let at = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let deployment = job.request.for_deployment();
    let name = deployment.map_or_else(|| at.clone(), |id| format!("{id}-{at}"));
    let name: BackupName = name.parse().map_err(|bad| Cause::new(format!("{bad}")))?;
    let mut manifest = Manifest {
        name: name.clone(),
        app: job.settings.app.clone(),
        deployment,
        running,
        revision,
        database: database.name.clone(),
        quarantine,
        schema,
        server,
        pg_dump: version_of(&pg_dump)?,
        locale: moment.locale().await?,
        extensions: moment.extensions().await?,
        snapshot: moment.text.clone(),
        lsn: moment.lsn.clone(),
        system: Some(cluster.system().await?),
        tables: Vec::new(),
        // Before the dump begins: then what is restored is never behind.
        sequences: moment.sequences().await?,
        database_bytes: moment.bytes,
        raw_bytes: 0,
        dump: model::File::default(),
        globals: model::File::default(),
        encrypted_to: job.settings.backup.encrypt_to.clone(),
        // What a deployment migrates is the database.
        folders: if deployment.is_none() && quarantine.is_none() {
            job.settings.backup.folders.clone()
        } else {
            Vec::new()
        },
        at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        took: 0,
        level: Level::Written,
    };

    let part = home.join(format!("{name}{PART}"));
    DirBuilder::new().mode(0o750).create(&part).map_err(cannot)?;
    let filled = fill(job, cluster, &part, &pg_dump, &pg_dumpall, moment, &mut manifest).await;
    // A full disk is not to stay full.
    filled.inspect_err(|_| drop(fs::remove_dir_all(&part)))?;
    manifest.took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    finish(&home, &part, &manifest).map_err(cannot)?;
    let model::File { bytes, sha256 } = manifest.dump;
    Ok(Output::BackedUp { name: name.to_string(), bytes, sha256 })
}

/// Writes everything but the manifest into the folder, and what the manifest says about it.
async fn fill(
    job: &Job,
    cluster: &Cluster,
    part: &Path,
    pg_dump: &Path,
    pg_dumpall: &Path,
    mut moment: Snapshot,
    manifest: &mut Manifest,
) -> Result<(), Cause> {
    let name = &manifest.database.clone();
    let limit = job.settings.backup.hash_limit;
    let seal = Seal::to(&manifest.encrypted_to)?;
    let belongings = cluster.belongings(name).await?;
    let roles = roles(pg_dumpall, cluster)?;
    let globals = globals(name, &manifest.locale, &roles, &belongings);
    manifest.globals = write(&part.join(manifest.named(GLOBALS)), globals.as_bytes(), &seal)
        .map_err(|error| unwritten(name, &error))?;

    let mut arguments = cluster.options();
    arguments.push(format!("--snapshot={}", moment.id));
    arguments.push(format!("--dbname={}", connection_name(name)));
    let (path, program, db) = (part.join(manifest.named(DUMP)), pg_dump.to_owned(), name.clone());
    say(&format!("dumping database {name}, {} MB on disk", manifest.database_bytes / 1_000_000));
    let size = manifest.database_bytes;
    let dump = blocking(move || {
        let file = create(&path).map_err(|error| unwritten(&db, &error))?;
        dump::dump(&program, &arguments, file, &seal, &db, size)
    });
    let count = async {
        let tables = moment.tables(|_, _, bytes| bytes <= limit).await;
        // As long as this moment is held, what was deleted since cannot be cleaned up.
        (tables, moment)
    };
    let (written, (tables, moment)) = tokio::join!(dump, count);
    moment.close().await;
    // Where both failed, pg_dump only lost the moment that the other one gave up.
    manifest.tables = tables?;
    let written = written?;
    (manifest.raw_bytes, manifest.dump) = (written.raw_bytes, written.file);
    say(&format!(
        "{} tables with {} rows in {} MB",
        manifest.tables.len(),
        manifest.rows(),
        manifest.dump.bytes / 1_000_000
    ));
    Ok(())
}

fn unwritten(db: &str, error: &std::io::Error) -> Cause {
    Cause::new(format!("cannot write the backup of database {db}: {error}"))
}

/// A dump that fills the disk would stop PostgreSQL itself, if that is on the same one.
fn enough_space(home: &Path, moment: &Snapshot) -> Result<(), Cause> {
    let Ok(stat) = nix::sys::statvfs::statvfs(home) else { return Ok(()) };
    let free = stat.blocks_available() * stat.fragment_size();
    // Measured: a quarter of the size on disk for text and numbers; half leaves room for what compresses badly.
    let need = moment.bytes / 2 + RESERVE;
    if free >= need {
        return Ok(());
    }
    let what = format!(
        "only {} MiB are free in {}; a backup of {} MiB of database needs {}",
        free >> 20,
        home.display(),
        moment.bytes >> 20,
        need >> 20
    );
    Err(Cause::new(what).hint("`tsh-agent backup prune --dry-run` shows what retention would delete"))
}

/// The roles of the server, without passwords: the agent could not read those.
fn roles(pg_dumpall: &Path, cluster: &Cluster) -> Result<String, Cause> {
    let cannot = |error| Cause::new(format!("cannot start {}: {error}", pg_dumpall.display()));
    let output = Command::new(pg_dumpall)
        .args(["--roles-only", "--no-role-passwords", "--no-password", "--database=postgres"])
        .args(cluster.options())
        .output()
        .map_err(cannot)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let tail = said.lines().map(super::child::plain).collect();
    Err(Cause { tail, ..Cause::new(format!("pg_dumpall of the roles failed ({})", output.status)) })
}

/// From PostgreSQL 16 on each membership names who granted it, which only the first superuser of that very cluster could
/// do again. Without the name it is granted by whoever restores.
fn by_anybody(roles: &str) -> String {
    let is_name = |name: &str| match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) => !inner.replace("\"\"", "").contains('"'),
        None => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'$'),
    };
    let line = |line: &str| {
        let grant = line.strip_prefix("GRANT ").and_then(|grant| grant.strip_suffix(';'));
        let parts = grant.and_then(|grant| grant.rsplit_once(" GRANTED BY "));
        match parts.filter(|(_, name)| is_name(name)) {
            Some((grant, _)) => format!("GRANT {grant};\n"),
            None => format!("{line}\n"),
        }
    };
    roles.lines().map(line).collect()
}

/// What must be there before the dump is restored. A comment of its own says how.
fn globals(db: &str, locale: &Locale, roles: &str, belongings: &[String]) -> String {
    let roles = by_anybody(roles);
    let create = create_database(db, locale);
    let belongings = belongings.join(";\n");
    format!(
        "-- Roles without passwords, and the database as it was bound. By hand, as a superuser, beside nothing:\n\
         --   psql -v ON_ERROR_STOP=1 -f {GLOBALS} postgres\n\
         --   zstd -dc {DUMP} | pg_restore --exit-on-error -d {db}\n\
         -- (with `age -d -i IDENTITY` before it, where the names end in .age)\n\n\
         {roles}\n{create};\nbegin;\n{belongings};\ncommit;\n"
    )
}

/// Writes the manifest, and gives the folder its name.
fn finish(home: &Path, part: &Path, manifest: &Manifest) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(manifest)?;
    text.push(b'\n');
    write(&part.join(MANIFEST), &text, &Seal::default())?;
    File::open(part)?.sync_all()?;
    fs::rename(part, home.join(manifest.name.as_str()))?;
    File::open(home)?.sync_all()
}

/// What an attempt that died left behind, and deletions that were interrupted.
fn sweep(home: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(home)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(PART) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &[u8], seal: &Seal) -> std::io::Result<model::File> {
    let mut sink = seal.onto(create(path)?)?;
    sink.write_all(text)?;
    let (file, written) = sink.finish()?;
    file.sync_all()?;
    Ok(written)
}

#[cfg(test)]
pub(super) mod tests;
