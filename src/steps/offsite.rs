//! Carries finished backups to a store elsewhere, and brings them back.
//!
//! Names there are unique and nothing is ever written over or deleted, so credentials that can do neither are enough. The
//! manifest is carried last: a backup that has one there is whole. What is there already is not carried again, so an
//! attempt that died is gone on with.

mod bring;
mod s3;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

pub use bring::{Brought, bring};
pub use s3::Store;

use self::s3::Thing;
use super::backup::{DUMP, GLOBALS, MANIFEST};
use super::files::{self, hex, on};
use super::folders::{FILES, INDEX, LISTING};
use super::objects::{Objects, read_index};
use super::output::say;
use super::{Job, Outcome, not_mine};
use crate::model::backup::Manifest;
use crate::model::journal::{Cause, Output};
use crate::model::names::{App, BackupName};
use crate::model::offsite::Sent;
use crate::model::request::Work;
use crate::paths;

/// The name under which systemd hands over the store's credentials.
const CREDENTIAL: &str = "offsite";
/// As many files are on their way at once.
const AT_ONCE: usize = 8;

/// Carries backups away, oldest first.
///
/// # Errors
/// If the store cannot be reached, refuses, or does not have what was sent.
pub async fn run(job: &Job) -> Outcome {
    let (Work::Push { backups }, Some(offsite)) = (&job.request.work, &job.settings.offsite) else {
        return Err(not_mine());
    };
    let app = &job.settings.app;
    let own = job.at(&paths::offsite(app));
    let file = job.credentials.as_ref().map(|folder| folder.join(CREDENTIAL));
    let missing =
        || Cause::new("the credentials of the store are missing").hint("`sudo tsh-agent init` hands them over");
    let store = Store::new(offsite, &file.filter(|file| file.exists()).ok_or_else(missing)?, &own.join("uploads"))?;
    let home = job.at(&paths::backups(app));
    let (mut sent, mut carried) = (Vec::new(), 0);
    for name in backups {
        let bytes = push(&store, app, &home, name, &own.join("sent")).await?;
        say(&format!("{name} is at {}, {} kB of it new there", store.place(), bytes / 1000));
        carried += bytes;
        sent.push(name.clone());
    }
    Ok(Output::Sent { backups: sent, bytes: carried })
}

/// The files of a backup besides its manifest, as far as it has them.
fn members(manifest: &Manifest) -> Vec<String> {
    let mut all = vec![manifest.named(DUMP), manifest.named(GLOBALS)];
    if !manifest.folders.is_empty() {
        all.extend([FILES.to_owned(), INDEX.to_owned(), manifest.named(LISTING)]);
    }
    all
}

/// Where a file of a backup is in the store.
fn key_of(app: &App, name: &BackupName, file: &str) -> String {
    format!("{app}/backups/{name}/{file}")
}

/// Where an object is in the store.
fn key_of_object(app: &App, object: &str) -> String {
    format!("{app}/objects/{}/{object}", object.get(..2).unwrap_or_default())
}

async fn push(store: &Store, app: &App, home: &Path, name: &BackupName, sent: &Path) -> Result<u64, Cause> {
    let (began, folder) = (Instant::now(), home.join(name.as_str()));
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(on(&path))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| on(&path)(error.into()))?;
    let objects = Objects::beside(home);
    let mut all: Vec<(String, PathBuf)> = Vec::new();
    if !manifest.folders.is_empty() {
        for object in read_index(&folder.join(INDEX))?.into_keys() {
            let file = objects.path(&object).ok_or_else(|| Cause::new(format!("{object:?} is no object")))?;
            all.push((key_of_object(app, &object), file));
        }
    }
    all.extend(members(&manifest).into_iter().map(|file| (key_of(app, name, &file), folder.join(file))));
    let mut there = store.list(&format!("{app}/objects/")).await?;
    there.extend(store.list(&format!("{app}/backups/{name}/")).await?);
    let carried = carry(store, &all, &there).await?;
    // Only when everything that it names is there, as the store itself says.
    let manifest = vec![(key_of(app, name, MANIFEST), path)];
    let carried = carried + carry(store, &manifest, &there).await?;
    let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let manifest = hex(&Sha256::digest(&text));
    keep(sent, home, &Sent { backup: name.clone(), manifest, place: store.place(), bytes: carried, at, took })?;
    Ok(carried)
}

/// Carries what is not there, and counts it.
async fn carry(store: &Store, all: &[(String, PathBuf)], there: &BTreeMap<String, Thing>) -> Result<u64, Cause> {
    let one = |(key, path): &(String, PathBuf)| {
        let (key, path) = (key.clone(), path.clone());
        async move { store.put(&key, &path, there.get(&key)).await }
    };
    stream::iter(all).map(one).buffer_unordered(AT_ONCE).try_fold(0, |sum, bytes| async move { Ok(sum + bytes) }).await
}

/// Notes that a backup is there, and forgets those that are gone here.
fn keep(sent: &Path, home: &Path, note: &Sent) -> Result<(), Cause> {
    for name in files::names(sent)? {
        let path = sent.join(&name);
        if path.file_stem().is_none_or(|name| !home.join(name).is_dir()) {
            files::remove(&path)?;
        }
    }
    let (new, path) = (sent.join(".new"), sent_path(sent, &note.backup));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&new)?;
        serde_json::to_writer_pretty(&mut file, note)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(sent)?.sync_all()
    };
    write().map_err(on(&path))
}

/// Where it is noted that a backup is off-site.
#[must_use]
pub fn sent_path(sent: &Path, name: &BackupName) -> PathBuf {
    sent.join(format!("{name}.json"))
}

#[cfg(test)]
mod tests;
