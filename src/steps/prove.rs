//! Proves a backup: restores it into a cluster of its own, and compares every table with the manifest. Nothing less is
//! called a proof: a listing of an archive passes on one that is cut off, or has a wrong bit.
//!
//! It runs as a user who can read backups and not write them, and who reaches nothing of production. What it finds it
//! writes where the owner of the backups cannot.

pub(super) mod archive;
mod folders;
mod opening;
mod scratch;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};

use self::archive::Reader;
pub use self::archive::checksum;
use self::folders::Folders;
use self::opening::open_globals;
pub(super) use self::opening::readable;
pub use self::scratch::{PORT, Scratch};
use super::backup::{DUMP, GLOBALS, MANIFEST};
use super::output::say;
use super::postgres::{connection_name, program};
use super::sealed::Keys;
use super::{Job, Outcome, blocking, files, not_mine};
use crate::database::Cluster;
use crate::model::backup::{Level, Locale, Manifest, Proof, Reached, differences};
use crate::model::journal::{Cause, Output};
use crate::model::names::BackupName;
use crate::model::request::Work;
use crate::paths;

/// The manifest of a database with a hundred thousand tables is smaller.
const LARGEST_MANIFEST: u64 = 64 << 20;
/// What must stay free beside a scratch cluster.
const RESERVE: u64 = 512 << 20;
/// Below this, a restore that failed says nothing about the backup.
const FULL: u64 = 64 << 20;
/// Differences that are told one by one.
const TOLD: usize = 20;

/// Why a proof came to no good end.
enum Trouble {
    /// The backup is not what it should be.
    Damaged(Cause),
    /// It could not be looked at: this says nothing about it.
    Unable(Cause),
    /// What is on the disk is right, and what is in it nobody can read here.
    Closed(Cause),
}

use Trouble::{Closed, Damaged, Unable};

/// Proves.
///
/// # Errors
/// If the backup is damaged, or cannot be looked at here.
pub async fn run(job: &Job) -> Outcome {
    let Work::Prove { backup } = &job.request.work else { return Err(not_mine()) };
    prove(job, backup, &[]).await
}

/// The same, with words before each command that may not run as root.
async fn prove(job: &Job, name: &BackupName, wrap: &[String]) -> Outcome {
    let standing = match stand(job, name, wrap).await {
        Err(Stop::Closed(cause)) => {
            say(&cause.what);
            return Ok(Output::Closed { backup: name.clone(), why: cause.what });
        }
        other => other.map_err(Stop::cause)?,
    };
    let manifest = standing.end().await?;
    Ok(Output::Proven { backup: name.clone(), tables: manifest.tables.len(), rows: manifest.rows() })
}

/// A backup that was restored and proven, in a cluster that still runs.
pub struct Standing {
    /// The cluster.
    pub scratch: Scratch,
    /// What the backup is.
    pub manifest: Manifest,
    room: PathBuf,
}

impl Standing {
    /// Stops the cluster and removes it.
    ///
    /// # Errors
    /// If it cannot be removed: what lies there is a copy of production's rows.
    pub async fn end(self) -> Result<Manifest, Cause> {
        self.scratch.stop().await;
        scratch::clear(&self.room)
            .map_err(|error| Cause::new(format!("{} cannot be cleared: {error}", self.room.display())))?;
        Ok(self.manifest)
    }
}

/// Proves a backup, keeps the proof, and leaves the cluster in which it was restored.
///
/// # Errors
/// If the backup is damaged, or cannot be looked at here.
pub async fn restore(job: &Job, name: &BackupName, wrap: &[String]) -> Result<Standing, Cause> {
    stand(job, name, wrap).await.map_err(Stop::cause)
}

/// What kept a backup from standing.
enum Stop {
    /// It is not good, or could not be looked at.
    Failed(Cause),
    /// It is as it was written, and nobody here can open it.
    Closed(Cause),
}

impl Stop {
    fn cause(self) -> Cause {
        let (Self::Failed(cause) | Self::Closed(cause)) = self;
        cause
    }
}

impl From<Cause> for Stop {
    fn from(cause: Cause) -> Self {
        Self::Failed(cause)
    }
}

async fn stand(job: &Job, name: &BackupName, wrap: &[String]) -> Result<Standing, Stop> {
    let app = &job.settings.app;
    let folder = job.at(&paths::backups(app)).join(name.as_str());
    let home = job.at(&paths::rehearsals(app));
    let cannot = |error: std::io::Error| Cause::new(format!("cannot keep the proof of backup {name}: {error}"));
    let keys = Keys::handed_over(job.credentials.as_deref())?;
    let (manifest, digest) = read_manifest(&folder, name)?;
    let mut proof = Proof {
        backup: name.clone(),
        manifest: digest,
        level: Level::Written,
        files: None,
        reached: Vec::new(),
        problem: None,
    };
    let room = home.join("scratch");
    let backups = job.at(&paths::backups(app));
    let found = climb(&backups, &folder, &room, &manifest, &mut proof, &keys, wrap).await;
    let outcome = match found {
        Ok(scratch) => Ok(Standing { scratch, manifest, room }),
        Err(trouble) => {
            // What lies there is a copy of production's rows.
            scratch::clear(&room).map_err(cannot)?;
            let unable =
                |cause: Cause| Cause { what: format!("backup {name} could not be proven: {}", cause.what), ..cause };
            match trouble {
                Damaged(cause) => {
                    proof.problem = Some(cause.what.clone());
                    Err(Cause { what: format!("backup {name} is NOT good: {}", cause.what), ..cause }.into())
                }
                Closed(cause) => {
                    let stop = if keys.is_empty() { Stop::Closed(cause) } else { Stop::Failed(unable(cause)) };
                    if better(&job.at(&paths::proofs(app)), &proof) {
                        return Err(stop);
                    }
                    Err(stop)
                }
                // What was proven before still is.
                Unable(cause) => return Err(unable(cause).into()),
            }
        }
    };
    keep(&job.at(&paths::proofs(app)), &job.at(&paths::backups(app)), &proof).map_err(cannot)?;
    outcome
}

/// The manifest, and the digest of its text.
pub(super) fn read_manifest(folder: &Path, name: &BackupName) -> Result<(Manifest, String), Cause> {
    let path = folder.join(MANIFEST);
    let bad = |why: String| Cause::new(format!("backup {name} is NOT good: {}: {why}", path.display()));
    let mut text = Vec::new();
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(&path);
    let file = file.map_err(|error| bad(error.to_string()))?;
    file.take(LARGEST_MANIFEST).read_to_end(&mut text).map_err(|error| bad(error.to_string()))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    if manifest.name != *name {
        return Err(bad(format!("it is the manifest of {}", manifest.name)));
    }
    Ok((manifest, files::hex(&Sha256::digest(&text))))
}

/// Level after level, as far as the backup carries.
async fn climb(
    home: &Path,
    folder: &Path,
    room: &Path,
    manifest: &Manifest,
    proof: &mut Proof,
    keys: &Keys,
    wrap: &[String],
) -> Result<Scratch, Trouble> {
    let mut clock = Instant::now();
    let (dump, globals) = (folder.join(manifest.named(DUMP)), folder.join(manifest.named(GLOBALS)));
    for (path, file) in [(&dump, &manifest.dump), (&globals, &manifest.globals)] {
        let (path, file) = (path.clone(), file.clone());
        blocking(move || archive::checksum(&path, &file)).await.map_err(Damaged)?;
    }
    let folders = Folders::read(home, folder, manifest, &proof.manifest).map_err(Damaged)?;
    proof.files = folders.as_ref().map(|folders| folders.digest.clone());
    if let Some(folders) = folders.clone() {
        blocking(move || folders.checksum()).await.map_err(Damaged)?;
    }
    reached(proof, Level::Checksummed, &mut clock);

    readable(manifest, keys).map_err(Closed)?;
    let pg_restore = program(manifest.server, "pg_restore").map_err(Unable)?;
    let reader = Reader::of(folder, manifest, pg_restore, keys);
    decode(reader.clone(), vec!["--file=/dev/null".to_owned()]).await.map_err(Damaged)?;
    if let Some(folders) = folders {
        let keys = keys.clone();
        blocking(move || folders.decode(&keys)).await.map_err(Damaged)?;
    }
    reached(proof, Level::Decodes, &mut clock);

    scratch::clear(room).map_err(|error| Unable(Cause::new(format!("{}: {error}", room.display()))))?;
    enough_space(room, manifest).map_err(Unable)?;
    let scratch = Scratch::start(room, manifest.server, wrap).await.map_err(Unable)?;
    let globals = open_globals(&globals, room, keys);
    match restore_and_compare(&scratch, reader, globals, manifest, proof, &mut clock).await {
        Ok(()) => Ok(scratch),
        Err(trouble) => {
            scratch.stop().await;
            Err(trouble)
        }
    }
}

async fn restore_and_compare(
    scratch: &Scratch,
    reader: Reader,
    globals: Result<PathBuf, Cause>,
    manifest: &Manifest,
    proof: &mut Proof,
    clock: &mut Instant,
) -> Result<(), Trouble> {
    let psql = program(manifest.server, "psql").map_err(Unable)?;
    let full = |cause: Cause| if scratch.free() < FULL { Unable(cause) } else { Damaged(cause) };
    let globals = globals.map_err(full)?;
    scratch.psql(&psql, &globals).await.map_err(full)?;
    let mut arguments = vec!["--exit-on-error".to_owned(), "--no-tablespaces".to_owned()];
    // A copy must not fetch what others publish.
    arguments.push("--no-subscriptions".to_owned());
    arguments.extend(scratch.cluster.options());
    arguments.push(format!("--dbname={}", connection_name(&manifest.database)));
    decode(reader, arguments).await.map_err(full)?;
    reached(proof, Level::Restored, clock);

    let found = compare(scratch, manifest, &globals).await.map_err(Unable)?;
    if let Some(cause) = differs(found) {
        return Err(Damaged(cause));
    }
    reached(proof, Level::Matched, clock);
    Ok(())
}

/// Reads all of a dump with `pg_restore` and these arguments, in a thread of its own.
pub(super) async fn decode(reader: Reader, arguments: Vec<String>) -> Result<(), Cause> {
    blocking(move || reader.read(&arguments)).await
}

/// How what was restored differs from what the manifest says.
async fn compare(scratch: &Scratch, manifest: &Manifest, globals: &Path) -> Result<Vec<String>, Cause> {
    let mut found = content(&scratch.cluster, &manifest.database, manifest).await?;
    let text = fs::read_to_string(globals).map_err(files::on(globals))?;
    for statement in scratch.cluster.belongings(&manifest.database).await? {
        if !text.contains(&format!("{statement};\n")) {
            found.push(format!("it has a setting that it should not have: {statement}"));
        }
    }
    Ok(found)
}

/// How the content of database `db` differs from what the manifest says: rows, sequences, locale, extensions.
pub(super) async fn content(cluster: &Cluster, db: &str, manifest: &Manifest) -> Result<Vec<String>, Cause> {
    let listed = |schema: &str, name: &str| {
        let mut tables = manifest.tables.iter();
        tables.find(|table| table.schema == schema && table.name == name).is_none_or(|table| table.hash.is_some())
    };
    let mut moment = cluster.snapshot(db).await?;
    let (sequences, tables) = (moment.sequences().await?, moment.tables(|schema, name, _| listed(schema, name)).await?);
    let (locale, extensions) = (moment.locale().await?, moment.extensions().await?);
    moment.close().await;
    let mut found = differences(manifest, &tables, &sequences);
    // The rules may be of another version here; what was restored follows these.
    let rules = |locale: &Locale| Locale { version: None, ..locale.clone() };
    if rules(&locale) != rules(&manifest.locale) {
        found.push("its locale is another one".to_owned());
    }
    for (name, version) in &manifest.extensions {
        match extensions.get(name) {
            None => found.push(format!("extension {name} is missing")),
            Some(have) if have != version => found.push(format!("extension {name} is {have} in place of {version}")),
            Some(_) => {}
        }
    }
    Ok(found)
}

/// The differences in one sentence, and the first of them one by one; `None` if there are none.
pub(super) fn differs(found: Vec<String>) -> Option<Cause> {
    let what = match found.as_slice() {
        [] => return None,
        [one] => format!("it was restored, but {one}"),
        [one, rest @ ..] => format!("it was restored, but {one}, and {} more differences", rest.len()),
    };
    Some(Cause { tail: found.into_iter().take(TOLD).collect(), ..Cause::new(what) })
}

fn reached(proof: &mut Proof, level: Level, clock: &mut Instant) {
    let took = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    *clock = Instant::now();
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    say(&format!("{} after {}.{} s", level.word(), took / 1000, took % 1000 / 100));
    proof.level = level;
    proof.reached.push(Reached { level, at, took });
}

fn enough_space(room: &Path, manifest: &Manifest) -> Result<(), Cause> {
    let free = scratch::free(room);
    let need = manifest.database_bytes + manifest.database_bytes / 20 + RESERVE;
    if free >= need {
        return Ok(());
    }
    let what = format!(
        "a copy of the database needs {} MiB, and only {} are free in {}",
        need >> 20,
        free >> 20,
        room.display()
    );
    Err(Cause::new(what).hint("make room, or mount a larger disk there"))
}

/// Whether more was proven about the same backup before.
fn better(proofs: &Path, proof: &Proof) -> bool {
    let before = fs::read(proof_path(proofs, &proof.backup)).ok();
    let before = before.and_then(|text| serde_json::from_slice::<Proof>(&text).ok());
    before.is_some_and(|before| {
        before.problem.is_none()
            && (&before.manifest, &before.files) == (&proof.manifest, &proof.files)
            && before.level > proof.level
    })
}

/// Keeps the proof, whole and durable, and forgets those of backups that are gone.
fn keep(proofs: &Path, backups: &Path, proof: &Proof) -> std::io::Result<()> {
    if !proofs.is_dir() {
        DirBuilder::new().mode(0o750).create(proofs)?;
    }
    for entry in fs::read_dir(proofs)? {
        let path = entry?.path();
        let gone = path.file_stem().is_none_or(|name| !backups.join(name).is_dir());
        if gone {
            fs::remove_file(path)?;
        }
    }
    let (path, new) = (proofs.join(format!("{}.json", proof.backup)), proofs.join(".new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&new)?;
    serde_json::to_writer_pretty(&mut file, proof)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(proofs)?.sync_all()
}

/// Where a proof is kept.
#[must_use]
pub fn proof_path(proofs: &Path, name: &BackupName) -> PathBuf {
    proofs.join(format!("{name}.json"))
}

#[cfg(test)]
mod closed_tests;
#[cfg(test)]
mod folder_tests;
#[cfg(test)]
pub(super) mod tests;
