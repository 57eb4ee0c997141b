//! The contents of files that backups keep, each once: `objects/ab/<content>-<stored>` beside the backups.
//!
//! An object has its name only when it is whole and on the disk. The first half of the name follows from the content, so
//! equal files share one; the second is the SHA-256 of what is stored, so every object can be checked by itself, and one
//! that is written again never takes another's name. Where objects are encrypted the first half is keyed: who sees the
//! names only, in a store elsewhere, cannot tell whether a file that he has is among them.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::files::{self, hex, on};
use super::sealed::{self, Keys, Seal};
use crate::model::backup as model;
use crate::model::journal::Cause;

/// The folder of objects beside the backups.
pub const OBJECTS: &str = "objects";
/// Objects that are not on the disk yet, below it.
const NEW: &str = ".new";
/// One that is being written, in there.
const WRITING: &str = "writing";
/// As many are made durable together: `fsync` for each takes many times as long.
const BATCH_BYTES: u64 = 256 << 20;
const BATCH: usize = 1000;
/// What must stay free beside a backup: a disk that is full stops more than backups.
const RESERVE: u64 = 256 << 20;

/// The objects of one application's backups.
pub struct Objects {
    home: PathBuf,
}

impl Objects {
    /// Those beside the backups in `home`.
    #[must_use]
    pub fn beside(home: &Path) -> Self {
        Self { home: home.join(OBJECTS) }
    }

    /// Where an object is; `None` if this is no name of one.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        is_name(name).then(|| self.home.join(&name[..2]).join(name))
    }

    /// Checks that an object is what was written.
    ///
    /// # Errors
    /// If it is not, or is missing.
    pub fn check(&self, name: &str, bytes: u64) -> Result<(), Cause> {
        let path = self.path(name).ok_or_else(|| Cause::new(format!("{name:?} is no name of an object")))?;
        let found = sealed::measure(File::open(&path).map_err(on(&path))?).map_err(on(&path))?;
        if found.bytes != bytes {
            return Err(Cause::new(format!("{} has {} bytes in place of {bytes}", path.display(), found.bytes)));
        }
        if name.rsplit_once('-').is_none_or(|(_, stored)| stored != found.sha256) {
            return Err(Cause::new(format!("{} is not what was written: its SHA-256 is another one", path.display())));
        }
        Ok(())
    }

    /// The content of an object.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(&self, name: &str, keys: &Keys) -> Result<impl Read + use<>, Cause> {
        let path = self.path(name).ok_or_else(|| Cause::new(format!("{name:?} is no name of an object")))?;
        keys.decompressed(&path).map_err(on(&path))
    }

    /// All of them: name and size in bytes.
    fn all(&self) -> Result<Vec<(String, u64)>, Cause> {
        let mut found = Vec::new();
        for shelf in files::names(&self.home)? {
            let shelf = self.home.join(&shelf);
            for name in files::names(&shelf)? {
                if let Some(name) = name.to_str().filter(|name| is_name(name)) {
                    let path = shelf.join(name);
                    found.push((name.to_owned(), fs::symlink_metadata(&path).map_err(on(&path))?.len()));
                }
            }
        }
        Ok(found)
    }

    /// Deletes what nobody names. Each that stays is untouched, also if this is interrupted.
    ///
    /// # Errors
    /// If one cannot be deleted.
    pub fn collect(&self, named: &BTreeMap<String, u64>) -> Result<u64, Cause> {
        let mut freed = 0;
        for (name, bytes) in self.all()? {
            if !named.contains_key(&name) {
                let path = self.home.join(&name[..2]).join(&name);
                fs::remove_file(&path).map_err(on(&path))?;
                freed += bytes;
            }
        }
        Ok(freed)
    }
}

/// Whether a file holds what this name of an object says; one that is not there does not.
///
/// # Errors
/// If it cannot be read.
pub fn is_intact(path: &Path, name: &str) -> Result<bool, Cause> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => {
            let stored = sealed::measure(other.map_err(on(path))?).map_err(on(path))?.sha256;
            Ok(name.rsplit_once('-').is_some_and(|(_, name)| name == stored))
        }
    }
}

fn is_name(name: &str) -> bool {
    let digits =
        |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    name.split_once('-').is_some_and(|(content, stored)| digits(content) && digits(stored))
}

/// The index of a backup: names of objects, and their sizes in bytes.
///
/// # Errors
/// If it cannot be read, or is none.
pub fn read_index(path: &Path) -> Result<BTreeMap<String, u64>, Cause> {
    let text = fs::read_to_string(path).map_err(on(path))?;
    let line = |line: &str| {
        let (name, bytes) = line.split_once(' ')?;
        Some((name.to_owned(), bytes.parse().ok()?)).filter(|(name, _)| is_name(name))
    };
    let lines = text.lines().map(|text| {
        line(text).ok_or_else(|| Cause::new(format!("{}: not an object and its size: {text:?}", path.display())))
    });
    lines.collect()
}

/// How objects are written.
pub struct Making {
    /// For whom.
    pub seal: Seal,
    /// The key behind their names, where they are encrypted.
    pub key: Option<Vec<u8>>,
}

impl Making {
    /// The first half of the name.
    fn content(&self, content: &model::File) -> String {
        // A key of any length will do.
        match self.key.as_deref().map(Hmac::<Sha256>::new_from_slice) {
            Some(Ok(mut mac)) => {
                mac.update(content.sha256.as_bytes());
                hex(&mac.finalize().into_bytes())
            }
            _ => content.sha256.clone(),
        }
    }
}

/// Adds objects.
pub struct Adding {
    objects: Objects,
    making: Making,
    /// Content → name and size of the object that holds it.
    known: HashMap<String, (String, u64)>,
    /// Written and not yet durable.
    waiting: Vec<String>,
    waiting_bytes: u64,
    /// Size in bytes of what was added.
    pub added: u64,
}

impl Adding {
    /// Begins. What an attempt that died left behind is deleted.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn begin(objects: Objects, making: Making) -> Result<Self, Cause> {
        let new = objects.home.join(NEW);
        files::remove(&new)?;
        DirBuilder::new().mode(0o750).recursive(true).create(&new).map_err(on(&new))?;
        let mut known = HashMap::new();
        for (name, bytes) in objects.all()? {
            if let Some((content, _)) = name.split_once('-') {
                known.insert(content.to_owned(), (name, bytes));
            }
        }
        Ok(Self { objects, making, known, waiting: Vec::new(), waiting_bytes: 0, added: 0 })
    }

    /// The object that holds this content, and its size.
    #[must_use]
    pub fn find(&self, content: &model::File) -> Option<(String, u64)> {
        self.known.get(&self.making.content(content)).cloned()
    }

    /// Stores what can be read, of about `size` bytes: what it was, the object and its size.
    ///
    /// # Errors
    /// If one of both ends fails, as that end's error.
    pub fn store(&mut self, mut from: impl Read, size: u64) -> Result<(model::File, String, u64), Trouble> {
        let new = self.objects.home.join(NEW);
        let path = new.join(WRITING);
        let ours = |error: io::Error| Trouble::Store(on(&path)(error));
        room(&new, size).map_err(Trouble::Store)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(ours(error)),
            _ => {}
        }
        let mut encoder = sealed::create(&path).and_then(|file| self.making.seal.compressed(file)).map_err(ours)?;
        let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
        loop {
            let count = from.read(&mut buffer).map_err(Trouble::Source)?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
            bytes += count as u64;
            encoder.write_all(&buffer[..count]).map_err(ours)?;
        }
        let (_, stored) = encoder.finish().and_then(sealed::Sink::finish).map_err(ours)?;
        let content = model::File { bytes, sha256: hex(&digest.finalize()) };
        if let Some((name, bytes)) = self.find(&content) {
            return Ok((content, name, bytes));
        }
        let key = self.making.content(&content);
        let name = format!("{key}-{}", stored.sha256);
        fs::rename(&path, new.join(&name)).map_err(ours)?;
        self.known.insert(key, (name.clone(), stored.bytes));
        self.waiting.push(name.clone());
        self.waiting_bytes += stored.bytes;
        self.added += stored.bytes;
        if self.waiting.len() >= BATCH || self.waiting_bytes >= BATCH_BYTES {
            self.settle().map_err(Trouble::Store)?;
        }
        Ok((content, name, stored.bytes))
    }

    /// Makes what was added durable, and only then gives it its name.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn settle(&mut self) -> Result<(), Cause> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        files::sync_all(&self.objects.home)?;
        for name in self.waiting.drain(..) {
            let (from, shelf) = (self.objects.home.join(NEW).join(&name), self.objects.home.join(&name[..2]));
            if !shelf.is_dir() {
                DirBuilder::new().mode(0o750).create(&shelf).map_err(on(&shelf))?;
            }
            fs::rename(&from, shelf.join(&name)).map_err(on(&from))?;
        }
        self.waiting_bytes = 0;
        files::sync_all(&self.objects.home)
    }
}

/// Which end failed.
pub enum Trouble {
    /// What was read.
    Source(io::Error),
    /// Where it is kept.
    Store(Cause),
}

fn room(place: &Path, size: u64) -> Result<(), Cause> {
    let Ok(stat) = nix::sys::statvfs::statvfs(place) else { return Ok(()) };
    let free = stat.blocks_available() * stat.fragment_size();
    if free >= size.saturating_add(RESERVE) {
        return Ok(());
    }
    let what = format!(
        "only {} MiB are free in {}; one more file of {} MiB is too much",
        free >> 20,
        place.display(),
        size >> 20
    );
    Err(Cause::new(what).hint("`tsh-agent backup prune --dry-run` shows what retention would delete"))
}
