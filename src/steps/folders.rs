//! Keeps the folders of a backup: what the application has below its shared folders, each content once for all backups.
//!
//! It runs after the dump, so that every file that the rows name is there; and as a step of its own, because it may read
//! the files of whoever runs the application, and is the only one that may.

mod give_back;
mod walk;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};

pub use give_back::{Given, give_back};
pub use walk::entries;

use super::backup::MANIFEST;
use super::files::{self, hex, on};
use super::objects::{Adding, Making, Objects};
use super::output::say;
use super::sealed::{self, Seal, Sink};
use super::{Job, Outcome, blocking, not_mine};
use crate::model::backup::{self as model, Manifest};
use crate::model::files::Files;
use crate::model::journal::{Cause, Output};
use crate::model::names::BackupName;
use crate::model::request::Work;
use crate::paths;

/// What the backup says about its folders, in its own folder.
pub const FILES: &str = "files.json";
/// The list of all entries.
pub const LISTING: &str = "files.list.zst";
/// The names of all objects.
pub const INDEX: &str = "files.index";
/// Under this name it is not whole yet.
const NEW: &str = ".files.new";
/// The name under which systemd hands over the key behind the names of encrypted objects.
const KEY: &str = "object-key";
/// A shorter key is none.
const KEY_BYTES: usize = 32;
/// Names that are told one by one.
const TOLD: usize = 20;

/// Keeps the folders that the backup's manifest names.
///
/// # Errors
/// If a file cannot be read, or the disk fails.
pub async fn run(job: &Job) -> Outcome {
    let Work::Folders { backup } = &job.request.work else { return Err(not_mine()) };
    let app = &job.settings.app;
    let plan = Plan {
        home: job.at(&paths::backups(app)),
        shared: job.at(&paths::home(app)).join("shared"),
        backup: backup.clone(),
        key: job.credentials.as_ref().map(|folder| folder.join(KEY)),
    };
    blocking(move || plan.keep()).await
}

struct Plan {
    home: PathBuf,
    shared: PathBuf,
    backup: BackupName,
    /// Where the key behind the names of encrypted objects is.
    key: Option<PathBuf>,
}

impl Plan {
    fn keep(&self) -> Outcome {
        let began = Instant::now();
        let folder = self.home.join(self.backup.as_str());
        let path = folder.join(MANIFEST);
        let text = fs::read(&path).map_err(on(&path))?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| on(&path)(error.into()))?;
        if manifest.name != self.backup {
            return Err(Cause::new(format!("{} is the manifest of {}", path.display(), manifest.name)));
        }
        // An attempt before this one may have come to its end, and to nobody's ears.
        for name in [FILES, NEW, INDEX, LISTING, &format!("{LISTING}.age")] {
            files::remove(&folder.join(name))?;
        }
        let making = self.making(&manifest)?;
        let path = folder.join(manifest.named(LISTING));
        let listing = sealed::create(&path).and_then(|file| making.seal.compressed(file)).map_err(on(&path))?;
        let mut walk = walk::Walk::new(&self.shared, Adding::begin(Objects::beside(&self.home), making)?, listing);
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for name in &manifest.folders {
            walk.top(name)?;
        }
        let walk::Found { files: count, bytes, objects, new_bytes, restless, left_out, listing } = walk.finish()?;
        let (file, listing) = listing.finish().and_then(Sink::finish).map_err(on(&path))?;
        file.sync_all().map_err(on(&path))?;
        let index = write_index(&folder.join(INDEX), &objects)?;
        for name in restless.iter().take(TOLD) {
            say(&format!("{name} did not hold still; it is kept as it was read last"));
        }
        for name in left_out.iter().take(TOLD) {
            say(&format!("{name} is neither file, folder nor link, and is not kept"));
        }
        let kept = Files {
            backup: self.backup.clone(),
            manifest: hex(&Sha256::digest(&text)),
            folders: manifest.folders,
            files: count,
            bytes,
            objects: objects.len() as u64,
            stored_bytes: objects.values().sum(),
            new_bytes,
            restless: restless.len(),
            left_out: left_out.len(),
            at,
            took: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            listing,
            index,
        };
        finish(&folder, &kept)?;
        Ok(Output::Kept { files: count, bytes, new_bytes, restless: kept.restless })
    }
}

impl Plan {
    /// How the backup's objects are written: as its manifest says that it is.
    fn making(&self, manifest: &Manifest) -> Result<Making, Cause> {
        let seal = Seal::to(&manifest.encrypted_to)?;
        if !seal.is_closed() {
            return Ok(Making { seal, key: None });
        }
        let missing = || {
            Cause::new("the key behind the names of encrypted objects is missing")
                .hint("`sudo tsh-agent init` makes it, and hands it over to this step")
        };
        let path = self.key.as_ref().ok_or_else(missing)?;
        let key = fs::read(path).ok().filter(|key| key.len() >= KEY_BYTES).ok_or_else(missing)?;
        Ok(Making { seal, key: Some(key) })
    }
}

fn write_index(path: &Path, objects: &BTreeMap<String, u64>) -> Result<model::File, Cause> {
    let mut sink = sealed::create(path).and_then(|file| Seal::default().onto(file)).map_err(on(path))?;
    let text: String = objects.iter().map(|(name, bytes)| format!("{name} {bytes}\n")).collect();
    sink.write_all(text.as_bytes()).map_err(on(path))?;
    let (file, index) = sink.finish().map_err(on(path))?;
    file.sync_all().map_err(on(path))?;
    Ok(index)
}

/// Only now the folders belong to the backup.
fn finish(folder: &Path, kept: &Files) -> Result<(), Cause> {
    let (new, path) = (folder.join(NEW), folder.join(FILES));
    let write = || -> std::io::Result<()> {
        let mut file = sealed::create(&new)?;
        serde_json::to_writer_pretty(&mut file, kept)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(on(&path))
}

#[cfg(test)]
mod tests;
