//! The folders of a backup, level after level: as much of a backup as its database is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archive::checksum;
use crate::model::backup::Manifest;
use crate::model::files::{Files, What};
use crate::model::journal::Cause;
use crate::steps::files::{hex, on};
use crate::steps::folders::{FILES, INDEX, LISTING, entries};
use crate::steps::objects::{Objects, read_index};
use crate::steps::sealed;

/// The folders of one backup.
#[derive(Clone)]
pub struct Folders {
    folder: PathBuf,
    home: PathBuf,
    files: Files,
    /// SHA-256 of what the backup says about them.
    pub digest: String,
}

impl Folders {
    /// What the backup in `folder` says about its folders, if it has any; `manifest` is the digest of its manifest.
    pub fn read(home: &Path, folder: &Path, manifest: &Manifest, digest: &str) -> Result<Option<Self>, Cause> {
        let path = folder.join(FILES);
        if manifest.folders.is_empty() && !path.exists() {
            return Ok(None);
        }
        let text = fs::read(&path).map_err(on(&path))?;
        let files: Files = serde_json::from_slice(&text).map_err(|error| on(&path)(error.into()))?;
        if files.backup != manifest.name || files.manifest != digest || files.folders != manifest.folders {
            return Err(Cause::new(format!("{} does not belong to this manifest", path.display())));
        }
        let digest = hex(&Sha256::digest(&text));
        Ok(Some(Self { folder: folder.to_owned(), home: home.to_owned(), files, digest }))
    }

    /// Whether everything on the disk is what was written.
    pub fn checksum(&self) -> Result<(), Cause> {
        checksum(&self.folder.join(LISTING), &self.files.listing)?;
        let objects = Objects::beside(&self.home);
        self.index()?.iter().try_for_each(|(name, bytes)| objects.check(name, *bytes))
    }

    /// Whether every file can be had back as it was.
    pub fn decode(&self) -> Result<(), Cause> {
        let (index, objects) = (self.index()?, Objects::beside(&self.home));
        let path = self.folder.join(LISTING);
        let (mut seen, mut count, mut bytes) = (BTreeMap::new(), 0, 0);
        for entry in entries(sealed::decompressed(&path).map_err(on(&path))?) {
            let entry = entry.map_err(on(&path))?;
            let What::File { size, sha256, object } = entry.what else { continue };
            (count, bytes) = (count + 1, bytes + size);
            if !index.contains_key(&object) {
                return Err(Cause::new(format!("{} is in an object that the backup does not name", entry.path)));
            }
            if !seen.contains_key(&object) {
                let read = objects.open(&object).and_then(|from| sealed::measure(from).map_err(on(Path::new(&object))));
                let content = read.map_err(|cause| Cause::new(format!("{} is lost: {}", entry.path, cause.what)))?;
                seen.insert(object.clone(), content);
            }
            if seen.get(&object).is_none_or(|content| (content.bytes, &content.sha256) != (size, &sha256)) {
                return Err(Cause::new(format!("{} is not what it was: its content is another one", entry.path)));
            }
        }
        if (count, bytes) != (self.files.files, self.files.bytes) {
            return Err(Cause::new(format!(
                "{} lists {count} files with {bytes} bytes in place of {} with {}",
                path.display(),
                self.files.files,
                self.files.bytes
            )));
        }
        Ok(())
    }

    fn index(&self) -> Result<BTreeMap<String, u64>, Cause> {
        let path = self.folder.join(INDEX);
        checksum(&path, &self.files.index)?;
        read_index(&path)
    }
}
