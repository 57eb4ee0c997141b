//! Keeps the folders of a backup: what the application has below its shared folders, each content once for all backups.
//!
//! It runs after the dump, so that every file that the rows name is there; and as a step of its own, because it may read
//! the files of whoever runs the application, and is the only one that may.

mod give_back;
mod walk;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use sha2::{Digest, Sha256};

pub use give_back::{Given, give_back};
pub use walk::entries;

use super::backup::MANIFEST;
use super::files::{self, hex, on};
use super::objects::{Adding, Objects};
use super::output::say;
use super::sealed::{self, Sink};
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
    };
    blocking(move || plan.keep()).await
}

struct Plan {
    home: std::path::PathBuf,
    shared: std::path::PathBuf,
    backup: BackupName,
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
        for name in [FILES, NEW, INDEX, LISTING] {
            files::remove(&folder.join(name))?;
        }
        let path = folder.join(LISTING);
        let listing = sealed::create(&path).and_then(|file| sealed::compressed(Sink::new(file))).map_err(on(&path))?;
        let mut walk = walk::Walk::new(&self.shared, Adding::begin(Objects::beside(&self.home))?, listing);
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
            restless,
            left_out,
            at,
            took: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            listing,
            index,
        };
        finish(&folder, &kept)?;
        Ok(Output::Kept { files: count, bytes, new_bytes, restless: kept.restless.len() })
    }
}

fn write_index(path: &Path, objects: &BTreeMap<String, u64>) -> Result<model::File, Cause> {
    let mut sink = Sink::new(sealed::create(path).map_err(on(path))?);
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
