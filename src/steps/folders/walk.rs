//! Walks folders that belong to somebody who may change them meanwhile, without ever following a link.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use crate::model::files::{Entry, What, escape};
use crate::model::journal::Cause;
use crate::steps::files::{on, open_dir};
use crate::steps::objects::{Adding, Trouble};
use crate::steps::sealed::{self, Sink};

/// Nested deeper than this is an attack, and would use up our file descriptors.
const DEEPEST: usize = 200;
/// How often a file that does not hold still is read.
const TRIES: usize = 3;

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
// Not blocking: what was a file a moment ago may be a pipe now.
const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

type Listing = zstd::stream::write::Encoder<'static, Sink>;

/// One walk through all folders.
pub struct Walk {
    shared: PathBuf,
    at: PathBuf,
    depth: usize,
    adding: Adding,
    found: Found,
}

/// What was found.
pub struct Found {
    /// Files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Objects that hold them, with their sizes in bytes.
    pub objects: BTreeMap<String, u64>,
    /// Size in bytes of objects that are new.
    pub new_bytes: u64,
    /// Files that changed while they were read.
    pub restless: Vec<String>,
    /// What cannot be kept.
    pub left_out: Vec<String>,
    /// The list of it all.
    pub listing: Listing,
}

impl Walk {
    /// A walk below `shared`.
    pub fn new(shared: &Path, adding: Adding, listing: Listing) -> Self {
        let found = Found {
            files: 0,
            bytes: 0,
            objects: BTreeMap::new(),
            new_bytes: 0,
            restless: Vec::new(),
            left_out: Vec::new(),
            listing,
        };
        Self { shared: shared.to_owned(), at: PathBuf::new(), depth: 0, adding, found }
    }

    /// Keeps one folder. Whoever owns what is above it may have replaced a part of the way by a link.
    pub fn top(&mut self, name: &str) -> Result<(), Cause> {
        let mut dir = open_dir(&self.shared)?;
        self.at = PathBuf::new();
        for part in Path::new(name).components() {
            let Component::Normal(part) = part else { continue };
            self.at.push(part);
            dir = openat(&dir, part, FOLDER, Mode::empty()).map_err(|error| {
                let cause = self.fail(error);
                cause.hint("backup.folders in the settings names the folders; none may be a link")
            })?;
        }
        self.folder(dir)
    }

    /// Everything, when all objects are durable.
    pub fn finish(mut self) -> Result<Found, Cause> {
        self.adding.settle()?;
        self.found.new_bytes = self.adding.added;
        Ok(self.found)
    }

    fn folder(&mut self, dir: OwnedFd) -> Result<(), Cause> {
        if self.depth == DEEPEST {
            return Err(Cause::new(format!("{} is nested too deeply", self.here().display())));
        }
        let stat = fstat(&dir).map_err(|e| self.fail(e))?;
        self.entry(&stat, What::Folder)?;
        let mut dir = Dir::from_fd(dir).map_err(|e| self.fail(e))?;
        let mut names: Vec<OsString> = dir
            .iter()
            .map(|entry| entry.map(|entry| OsString::from_vec(entry.file_name().to_bytes().to_vec())))
            .collect::<Result<_, _>>()
            .map_err(|e| self.fail(e))?;
        names.sort_unstable();
        self.depth += 1;
        for name in names.iter().filter(|name| *name != "." && *name != "..") {
            self.at.push(name);
            match self.one(&dir, name) {
                // It was deleted since the folder was read.
                Err(Gone::Yes) => {}
                Err(Gone::No(cause)) => return Err(cause),
                Ok(()) => {}
            }
            self.at.pop();
        }
        self.depth -= 1;
        Ok(())
    }

    fn one(&mut self, dir: &Dir, name: &OsStr) -> Result<(), Gone> {
        let stat = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(|e| self.gone(e))?;
        match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
            SFlag::S_IFDIR => {
                let inner = openat(dir, name, FOLDER, Mode::empty()).map_err(|e| self.gone(e))?;
                self.folder(inner).map_err(Gone::No)
            }
            SFlag::S_IFLNK => {
                let target = readlinkat(dir, name).map_err(|e| self.gone(e))?;
                self.entry(&stat, What::Link { target: escape(target.as_bytes()) }).map_err(Gone::No)
            }
            SFlag::S_IFREG => {
                let file = openat(dir, name, READ, Mode::empty()).map_err(|e| self.gone(e))?;
                self.file(File::from(file)).map_err(Gone::No)
            }
            _ => {
                self.found.left_out.push(escape(self.at.as_os_str().as_bytes()));
                Ok(())
            }
        }
    }

    fn file(&mut self, mut file: File) -> Result<(), Cause> {
        let here = self.here();
        for attempt in 1..=TRIES {
            let before = fstat(&file).map_err(|e| self.fail(e))?;
            if SFlag::from_bits_truncate(before.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
                self.found.left_out.push(escape(self.at.as_os_str().as_bytes()));
                return Ok(());
            }
            file.rewind().map_err(on(&here))?;
            let seen = sealed::measure(&file).map_err(on(&here))?;
            let (content, object, stored) = match self.adding.find(&seen) {
                Some((object, stored)) => (seen, object, stored),
                None => {
                    file.rewind().map_err(on(&here))?;
                    self.adding.store(&file, seen.bytes).map_err(|trouble| match trouble {
                        Trouble::Source(error) => on(&here)(error),
                        Trouble::Store(cause) => cause,
                    })?
                }
            };
            let after = fstat(&file).map_err(|e| self.fail(e))?;
            let still = moment(&before) == moment(&after) && after.st_size.cast_unsigned() == content.bytes;
            if !still && attempt < TRIES {
                continue;
            }
            if !still {
                self.found.restless.push(escape(self.at.as_os_str().as_bytes()));
            }
            self.found.files += 1;
            self.found.bytes += content.bytes;
            self.found.objects.insert(object.clone(), stored);
            return self.entry(&after, What::File { size: content.bytes, sha256: content.sha256, object });
        }
        Ok(())
    }

    fn entry(&mut self, stat: &FileStat, what: What) -> Result<(), Cause> {
        let entry = Entry {
            path: escape(self.at.as_os_str().as_bytes()),
            mode: stat.st_mode & 0o7777,
            mtime: stat.st_mtime,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            what,
        };
        let mut line = serde_json::to_vec(&entry).map_err(|error| Cause::new(error.to_string()))?;
        line.push(b'\n');
        self.found.listing.write_all(&line).map_err(|error| Cause::new(format!("cannot write the listing: {error}")))
    }

    fn here(&self) -> PathBuf {
        self.shared.join(&self.at)
    }

    fn fail(&self, error: Errno) -> Cause {
        on(&self.here())(error.into())
    }

    fn gone(&self, error: Errno) -> Gone {
        // A link that took the place of a file or a folder: what was there is gone.
        if matches!(error, Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) {
            Gone::Yes
        } else {
            Gone::No(self.fail(error))
        }
    }
}

/// Whether something vanished, which is its owner's right.
enum Gone {
    Yes,
    No(Cause),
}

/// What changes when somebody writes.
fn moment(stat: &FileStat) -> (i64, i64, i64, i64, i64) {
    (stat.st_size, stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec)
}

/// The entries of a listing, in order.
pub fn entries(from: impl io::Read) -> impl Iterator<Item = io::Result<Entry>> {
    let lines = io::BufRead::lines(io::BufReader::new(from));
    lines.map(|line| serde_json::from_str(&line?).map_err(Into::into))
}
