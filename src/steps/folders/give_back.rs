//! Gives the files of a backup back, into a new folder: nothing that is there is ever written over.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::LISTING;
use super::walk::entries;
use crate::model::files::{Entry, What, unescape};
use crate::model::journal::Cause;
use crate::steps::files::{hex, on};
use crate::steps::objects::Objects;
use crate::steps::sealed;

/// What was given back.
#[derive(Debug, Default)]
pub struct Given {
    /// Files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that could not be given back whole, and why.
    pub lost: Vec<String>,
}

/// Gives back what the backup in `folder`, beside whose siblings in `home` the objects are, has at or below `only`.
///
/// # Errors
/// If `to` is there already and not empty, or the listing cannot be read, or nothing can be written.
pub fn give_back(home: &Path, folder: &Path, only: &Path, to: &Path) -> Result<Given, Cause> {
    make(to)?;
    let objects = Objects::beside(home);
    let path = folder.join(LISTING);
    let mut given = Given::default();
    let mut later = Vec::new();
    for entry in entries(sealed::decompressed(&path).map_err(on(&path))?) {
        let entry = entry.map_err(on(&path))?;
        let place = inside(&entry.path).ok_or_else(|| bad(&path, &entry.path))?;
        if !place.starts_with(only) {
            continue;
        }
        let target = to.join(&place);
        let above = target.parent().unwrap_or(to);
        DirBuilder::new().mode(0o700).recursive(true).create(above).map_err(on(above))?;
        match &entry.what {
            What::File { size, sha256, object } => match file(&objects, object, &entry, &target) {
                Ok(content) if content == (*size, sha256.clone()) => {
                    given.files += 1;
                    given.bytes += size;
                }
                Ok(_) => given.lost.push(format!("{}: its content is another one now", entry.path)),
                Err(cause) => given.lost.push(format!("{}: {}", entry.path, cause.what)),
            },
            What::Folder => {
                DirBuilder::new().mode(0o700).recursive(true).create(&target).map_err(on(&target))?;
                later.push((target, entry));
            }
            What::Link { .. } => later.push((target, entry)),
        }
    }
    // Last, because each file changes its folder's time; and no link is there while files are written.
    for (target, entry) in later.iter().rev() {
        match &entry.what {
            What::Link { target: points } => {
                let points = unescape(points).ok_or_else(|| bad(&path, points))?;
                symlink(std::ffi::OsString::from_vec(points), target).map_err(on(target))?;
            }
            _ => dress(&File::open(target).map_err(on(target))?, entry).map_err(on(target))?,
        }
    }
    Ok(given)
}

fn make(to: &Path) -> Result<(), Cause> {
    match DirBuilder::new().mode(0o700).create(to) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => return other.map_err(on(to)),
    }
    match fs::read_dir(to).map_err(on(to))?.next() {
        None => Ok(()),
        Some(_) => Err(Cause::new(format!("{} is not empty, and nothing is written over", to.display()))
            .hint("name a folder that is not there yet")),
    }
}

/// A path of the listing that stays inside.
fn inside(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::ffi::OsString::from_vec(unescape(path)?));
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

fn bad(listing: &Path, path: &str) -> Cause {
    Cause::new(format!("{}: {path:?} is not a path below the folders", listing.display()))
}

/// Writes one file; what came out.
fn file(objects: &Objects, object: &str, entry: &Entry, target: &Path) -> Result<(u64, String), Cause> {
    let mut from = objects.open(object)?;
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target).map_err(on(target))?;
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let count = from.read(&mut buffer).map_err(|error| Cause::new(format!("cannot be read: {error}")))?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
        bytes += count as u64;
        out.write_all(&buffer[..count]).map_err(on(target))?;
    }
    dress(&out, entry).map_err(on(target))?;
    Ok((bytes, hex(&digest.finalize())))
}

fn dress(file: &File, entry: &Entry) -> std::io::Result<()> {
    // Without the bits that would give somebody else's rights away.
    file.set_permissions(Permissions::from_mode(entry.mode & 0o777))?;
    let since = Duration::new(entry.mtime.unsigned_abs(), entry.nanos);
    let at = if entry.mtime < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(since)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(since)
    };
    at.map_or(Ok(()), |at| file.set_modified(at))
}
