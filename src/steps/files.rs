//! Trees that somebody else may have made: walked, hashed and copied without ever following a link.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::symlinkat;
use sha2::{Digest, Sha256};

use crate::model::journal::Cause;

/// Nested deeper than this is an attack, and would use up our file descriptors.
const DEEPEST: usize = 200;

/// One file or link of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where, relative to the tree.
    pub path: PathBuf,
    /// What.
    pub kind: Kind,
}

/// What a file or link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Permissions as they are in the copy.
        mode: u32,
        /// Length in bytes.
        size: u64,
        /// SHA-256 of the content, in hexadecimal.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Where it points, as it stands there.
        target: PathBuf,
    },
}

/// Copies the tree `from` into the new folder `to`. Permissions become: readable for all, writable for the owner,
/// executable as it was, nothing else; modification times stay, because byte-compiled files refer to them.
pub fn copy(from: &Path, to: &Path) -> Result<Vec<Item>, Cause> {
    copy_without(from, to, &[])
}

/// The same without these files and folders, which are named from the tree's top.
pub fn copy_without(from: &Path, to: &Path, without: &[PathBuf]) -> Result<Vec<Item>, Cause> {
    std::fs::create_dir(to).map_err(on(to))?;
    let target = open_dir(to)?;
    walk(from, Some(target), without)
}

/// Lists and hashes the tree, sorted by path.
pub fn list(tree: &Path) -> Result<Vec<Item>, Cause> {
    walk(tree, None, &[])
}

fn walk(from: &Path, to: Option<OwnedFd>, without: &[PathBuf]) -> Result<Vec<Item>, Cause> {
    let source = open_dir(from)?;
    let (top, at, buffer) = (from.to_owned(), PathBuf::new(), vec![0; 1 << 18]);
    let mut walk = Walk { top, at, without, depth: 0, items: Vec::new(), buffer };
    walk.folder(source, to.as_ref())?;
    walk.items.sort_unstable_by(|a, b| a.path.as_os_str().as_bytes().cmp(b.path.as_os_str().as_bytes()));
    Ok(walk.items)
}

struct Walk<'a> {
    top: PathBuf,
    at: PathBuf,
    without: &'a [PathBuf],
    depth: usize,
    items: Vec<Item>,
    buffer: Vec<u8>,
}

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
// Not blocking: what was a file a moment ago may be a pipe now.
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const CREATE: OFlag =
    OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

impl Walk<'_> {
    fn folder(&mut self, source: OwnedFd, to: Option<&OwnedFd>) -> Result<(), Cause> {
        if self.depth == DEEPEST {
            return Err(self.refuse("is nested too deeply"));
        }
        let stat = fstat(&source).map_err(|e| self.fail(e))?;
        let mut dir = Dir::from_fd(source).map_err(|e| self.fail(e))?;
        let names: Vec<OsString> = dir
            .iter()
            .map(|entry| entry.map(|entry| OsString::from_vec(entry.file_name().to_bytes().to_vec())))
            .collect::<Result<_, _>>()
            .map_err(|e| self.fail(e))?;
        self.depth += 1;
        for name in names.iter().filter(|name| *name != "." && *name != "..") {
            self.at.push(name);
            if !self.without.contains(&self.at) {
                self.entry(&dir, name, to)?;
            }
            self.at.pop();
        }
        self.depth -= 1;
        if let Some(to) = to {
            // Last, because each file in it changed its time.
            self.dress(to, 0o755, &stat)?;
        }
        Ok(())
    }

    fn entry(&mut self, dir: &Dir, name: &OsStr, to: Option<&OwnedFd>) -> Result<(), Cause> {
        let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|e| self.fail(e))?;
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFDIR => {
                let source = openat(dir, name, FOLDER, Mode::empty()).map_err(|e| self.fail(e))?;
                let inner = match to {
                    None => None,
                    Some(to) => {
                        mkdirat(to, name, Mode::S_IRWXU).map_err(|e| self.fail(e))?;
                        Some(openat(to, name, FOLDER, Mode::empty()).map_err(|e| self.fail(e))?)
                    }
                };
                self.folder(source, inner.as_ref())
            }
            SFlag::S_IFLNK => {
                let target = readlinkat(dir, name).map_err(|e| self.fail(e))?;
                if let Some(to) = to {
                    symlinkat(target.as_os_str(), to, name).map_err(|e| self.fail(e))?;
                }
                self.items.push(Item { path: self.at.clone(), kind: Kind::Link { target: target.into() } });
                Ok(())
            }
            SFlag::S_IFREG => self.file(dir, name, to),
            SFlag::S_IFIFO => Err(self.refuse("is a named pipe")),
            SFlag::S_IFSOCK => Err(self.refuse("is a socket")),
            _ => Err(self.refuse("is a device")),
        }
    }

    fn file(&mut self, dir: &Dir, name: &OsStr, to: Option<&OwnedFd>) -> Result<(), Cause> {
        let source = openat(dir, name, READ, Mode::empty()).map_err(|e| self.fail(e))?;
        let stat = fstat(&source).map_err(|e| self.fail(e))?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(self.refuse("is not a file any more"));
        }
        let mode = stat.st_mode & 0o755 | 0o444;
        let mut source = File::from(source);
        let mut copy = match to {
            None => None,
            Some(to) => Some(File::from(openat(to, name, CREATE, Mode::S_IRWXU).map_err(|e| self.fail(e))?)),
        };
        // One pass, so that what is hashed is what is written, whoever changes the source meanwhile.
        let (mut size, mut hash) = (0, Sha256::new());
        loop {
            let length = match source.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(on(&self.here())(error)),
            };
            let part = &self.buffer[..length];
            hash.update(part);
            size += length as u64;
            if let Some(copy) = &mut copy {
                copy.write_all(part).map_err(on(&self.here()))?;
            }
        }
        if let Some(copy) = &copy {
            self.dress(copy, mode, &stat)?;
        }
        let sha256 = hex(&hash.finalize());
        self.items.push(Item { path: self.at.clone(), kind: Kind::File { mode, size, sha256 } });
        Ok(())
    }

    fn dress(&self, fd: impl AsFd, mode: u32, like: &FileStat) -> Result<(), Cause> {
        let time = TimeSpec::new(like.st_mtime, like.st_mtime_nsec);
        fchmod(&fd, Mode::from_bits_truncate(mode)).map_err(|e| self.fail(e))?;
        futimens(&fd, &time, &time).map_err(|e| self.fail(e))
    }

    fn here(&self) -> PathBuf {
        self.top.join(&self.at)
    }

    fn fail(&self, error: Errno) -> Cause {
        on(&self.here())(error.into())
    }

    fn refuse(&self, why: &str) -> Cause {
        Cause::new(format!("{} {why}: a release holds only files, folders and links", self.at.display()))
    }
}

/// Opens a folder that must not be a link.
pub fn open_dir(path: &Path) -> Result<OwnedFd, Cause> {
    nix::fcntl::open(path, FOLDER, Mode::empty()).map_err(|e| on(path)(e.into()))
}

/// Makes everything on the file system of `path` durable.
pub fn sync_all(path: &Path) -> Result<(), Cause> {
    let dir = open_dir(path)?;
    nix::unistd::syncfs(&dir).map_err(|e| on(path)(e.into()))
}

/// Makes what `dir` contains (names, not contents) durable.
pub fn sync_dir(dir: &Path) -> Result<(), Cause> {
    let fd = open_dir(dir)?;
    nix::unistd::fsync(&fd).map_err(|e| on(dir)(e.into()))
}

/// Deletes a file, link or tree of ours; nothing there is as good.
pub fn remove(path: &Path) -> Result<(), Cause> {
    let gone = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(on(path)(error)),
        _ => Ok(()),
    }
}

/// The names in a folder, sorted; none if there is no folder.
pub fn names(dir: &Path) -> Result<Vec<OsString>, Cause> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(on(dir))?,
    };
    let mut names =
        entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>().map_err(on(dir))?;
    names.sort_unstable();
    Ok(names)
}

/// An I/O error as a cause that names the path.
pub fn on(path: &Path) -> impl FnOnce(io::Error) -> Cause + use<> {
    let path = path.to_owned();
    move |error| {
        let cause = Cause::new(format!("{}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => cause.hint("make room on this file system"),
            _ => cause,
        }
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
