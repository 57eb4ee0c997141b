//! Puts things in place, and tells whether they were there already.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Gid, Group, Uid, User};

use super::Generated;
use super::folders::Folder;

/// Whether something had to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is as wanted now.
    Made,
    /// It was as wanted before.
    AlreadySo,
}

impl Change {
    /// The word people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::AlreadySo => "already so",
        }
    }
}

/// What could not be done, and why.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub struct Failure {
    what: String,
    why: String,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>, why: impl ToString) -> Self {
        Self { what: what.into(), why: why.to_string() }
    }
}

/// Makes the file what it should be: whole or not at all, and durable.
///
/// # Errors
///
/// It cannot be read or written.
pub fn write(file: &Generated) -> Result<Change, Failure> {
    if is_written(file).map_err(|error| Failure::new(format!("read {}", file.path.display()), error))? {
        return Ok(Change::AlreadySo);
    }
    replace(file).map_err(|error| Failure::new(format!("write {}", file.path.display()), error))?;
    Ok(Change::Made)
}

/// Removes a file or a link, durably; one that is gone already is.
///
/// # Errors
///
/// It cannot be removed.
pub fn remove(path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("remove {}", path.display()), error);
    match fs::remove_file(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(()) => path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all()).map_err(failed),
    }
}

/// Whether the file is there already, as it should be.
///
/// # Errors
///
/// It cannot be read, for example because only root may.
pub fn is_written(file: &Generated) -> io::Result<bool> {
    let found = match fs::symlink_metadata(&file.path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    Ok(found.is_file()
        && found.mode() & 0o7777 == file.mode
        && found.uid() == 0
        && fs::read(&file.path)? == file.text.as_bytes())
}

fn replace(file: &Generated) -> io::Result<()> {
    let (Some(folder), Some(name)) = (file.path.parent(), file.path.file_name()) else {
        return Err(io::Error::from(ErrorKind::InvalidFilename));
    };
    fs::create_dir_all(folder)?;
    // No program reads it under this name: none ends in `.new`.
    let fresh = folder.join(format!(".{}.new", name.to_string_lossy()));
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    out.write_all(file.text.as_bytes())?;
    out.set_permissions(fs::Permissions::from_mode(file.mode))?;
    out.sync_all()?;
    fs::rename(&fresh, &file.path)?;
    File::open(folder)?.sync_all()
}

/// Whether the folder is there with its owner and mode.
#[must_use]
pub fn is_so(folder: &Folder) -> bool {
    let Ok(found) = fs::symlink_metadata(&folder.path) else { return false };
    let owner = User::from_uid(Uid::from_raw(found.uid())).ok().flatten().map(|user| user.name);
    let group = Group::from_gid(Gid::from_raw(found.gid())).ok().flatten().map(|group| group.name);
    found.is_dir()
        && found.mode() & 0o7777 == folder.mode
        && owner.as_ref() == Some(&folder.owner)
        && group.as_ref() == Some(&folder.group)
}

/// What is wrong with letting PID 1 open this file as root: somebody else could put another one in its place.
#[must_use]
pub fn untrusted(path: &Path) -> Option<String> {
    for part in path.ancestors() {
        let found = match fs::symlink_metadata(part) {
            // What is not there yet can only be made by who may write in the folder above.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Some(format!("{}: {error}", part.display())),
            Ok(found) => found,
        };
        if found.is_symlink() {
            return Some(format!("{} is a link; name the file itself", part.display()));
        }
        if found.uid() != 0 {
            return Some(format!("{} does not belong to root", part.display()));
        }
        if found.mode() & 0o022 != 0 {
            return Some(format!("{} can be written by others than root", part.display()));
        }
    }
    None
}

/// Runs a command of the system with this on its standard input; gives what it printed.
///
/// # Errors
///
/// It cannot be started or does not succeed; then with what it complained about.
pub fn run(argv: &[&str], stdin: &str) -> Result<String, Failure> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(Failure::new("run", "no command"));
    };
    let failed = |why: String| Failure::new(*program, why);
    let io = |error: io::Error| failed(error.to_string());
    // The current folder may be one that the other user of `runuser` cannot enter.
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io)?;
    if let Some(mut pipe) = child.stdin.take() {
        match pipe.write_all(stdin.as_bytes()) {
            // It did not want it all; its exit status tells why.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(io(error)),
            _ => {}
        }
    }
    let output = child.wait_with_output().map_err(io)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(failed(if complaint.trim().is_empty() { output.status.to_string() } else { complaint.trim().to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = Generated { path: folder.path().join("a/b.conf"), text: "x\n".to_owned(), mode: 0o600 };
        replace(&file).unwrap();
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "x\n");
        assert_eq!(fs::metadata(&file.path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1, "nothing is left over");
        if Uid::effective().is_root() {
            assert_eq!(write(&file).unwrap(), Change::AlreadySo);
            let other = Generated { mode: 0o644, ..file.clone() };
            assert_eq!(write(&other).unwrap(), Change::Made, "a mode is a change");
            fs::remove_file(&file.path).unwrap();
            std::os::unix::fs::symlink("/dev/null", &file.path).unwrap();
            assert_eq!(write(&file).unwrap(), Change::Made, "a link is not the file");
            assert!(fs::symlink_metadata(&file.path).unwrap().is_file());
        }
    }

    #[test]
    fn a_file_in_a_folder_of_others_is_not_trusted() {
        assert!(untrusted(Path::new("/tmp/key")).is_some_and(|why| why.contains("/tmp ")));
        assert_eq!(untrusted(Path::new("/etc/passwd")), None);
        assert_eq!(untrusted(Path::new("/etc/there/is/no/such/key")), None);
    }

    #[test]
    fn a_command_that_fails_says_why() {
        assert_eq!(run(&["cat"], "in").unwrap(), "in");
        let failure = run(&["sh", "-c", "echo no >&2; exit 3"], &"x".repeat(1 << 20)).unwrap_err();
        assert_eq!(failure.to_string(), "sh: no");
    }
}
