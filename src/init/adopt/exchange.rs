//! A folder and a link change places, in one system call: at no instant does either path lead nowhere.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// Moves the folder `from` to `to`, and leaves at `from` a link to `leads`. Done again, it changes nothing.
///
/// # Errors
/// `to` is in the way; the two are on different file systems; or the disk says no.
pub fn leave_link(from: &Path, to: &Path, leads: &Path) -> io::Result<()> {
    if is_folder(to) && fs::read_link(from).is_ok_and(|target| target == leads) {
        return sync(from).and_then(|()| sync(to));
    }
    if !is_folder(from) {
        return Err(io::Error::new(ErrorKind::NotADirectory, format!("{} is no folder any more", from.display())));
    }
    clear(to)?;
    symlink(leads, to)?;
    // On disk before it is needed: else a power cut could leave the old name and no link.
    sync(to)?;
    swap(from, to)
}

/// Takes [`leave_link`] back where the link leads to `to`. There a link to `from` stays, for processes that know only that
/// place. Somebody who has read the one link when the two change places finds the other: the link that moves is relative,
/// and has a sign beside it in each of the two folders.
///
/// # Errors
/// Something else is there now, or the disk says no.
pub fn take_back(from: &Path, to: &Path) -> io::Result<()> {
    let name = format!(".tsh-agent-{}", to.file_name().unwrap_or_default().to_string_lossy());
    let (here, there) = (from.with_file_name(&name), to.with_file_name(&name));
    if is_folder(to) {
        if !from.is_symlink() {
            return Err(io::Error::new(ErrorKind::AlreadyExists, format!("{} is in the way", from.display())));
        }
        replace(&here, to)?;
        replace(&there, from)?;
        replace(from, Path::new(&name))?;
        swap(from, to)?;
    }
    if !is_folder(from) {
        return Err(io::Error::new(ErrorKind::NotFound, format!("{} is gone", to.display())));
    }
    replace(to, from)?;
    clear(&here)?;
    clear(&there)
}

/// Takes [`leave_link`] back where the link leads elsewhere; it is left at `to`.
///
/// # Errors
/// Something else is there now, or the disk says no.
pub fn swap_back(from: &Path, to: &Path) -> io::Result<()> {
    match is_folder(to) {
        true if from.is_symlink() => swap(from, to),
        true => Err(io::Error::new(ErrorKind::AlreadyExists, format!("{} is in the way", from.display()))),
        false => Ok(()),
    }
}

/// Makes `link` lead there, at once and durably.
fn replace(link: &Path, target: &Path) -> io::Result<()> {
    let fresh = link.with_file_name(format!(".{}.new", link.file_name().unwrap_or_default().to_string_lossy()));
    clear(&fresh)?;
    symlink(target, &fresh)?;
    fs::rename(&fresh, link)?;
    sync(link)
}

fn swap(a: &Path, b: &Path) -> io::Result<()> {
    renameat2(AT_FDCWD, a, AT_FDCWD, b, RenameFlags::RENAME_EXCHANGE)?;
    sync(a)?;
    sync(b)
}

/// A folder itself, not a link to one.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Removes a link that an earlier try left, or an empty folder; never anything with content.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.is_symlink() => fs::remove_file(path),
        Ok(found) if found.is_dir() => fs::remove_dir(path),
        Ok(_) => Err(io::Error::new(ErrorKind::AlreadyExists, format!("{} is in the way", path.display()))),
    }
}

/// Makes a name durable.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    #[test]
    fn there_and_back_and_each_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("tree/uploads"), dir.path().join("shared/uploads"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(from.join("a"), "a").unwrap();
        for _ in 0..2 {
            leave_link(&from, &to, &to).unwrap();
            assert_eq!(fs::read_to_string(from.join("a")).unwrap(), "a");
            assert!(is_folder(&to) && from.is_symlink());
        }
        for _ in 0..2 {
            take_back(&from, &to).unwrap();
            assert_eq!(fs::read_to_string(to.join("a")).unwrap(), "a", "the shared place still leads there");
            assert!(is_folder(&from) && to.is_symlink());
        }
        assert_eq!(fs::read_dir(dir.path().join("tree")).unwrap().count(), 1, "no sign is left over");
    }

    #[test]
    fn what_has_content_is_never_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(to.join("x"), "").unwrap();
        assert!(leave_link(&from, &to, &to).is_err());
        assert!(is_folder(&from) && to.join("x").exists());
    }

    #[test]
    fn at_no_instant_is_the_folder_missing() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("tree/uploads"), dir.path().join("shared/uploads"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir(dir.path().join("shared")).unwrap();
        fs::write(from.join("file"), "").unwrap();
        let stop = AtomicBool::new(false);
        // Odd while an exchange is under way: a look during which two of them happened proves nothing.
        let exchanges = AtomicU64::new(0);
        let exchange = |done: &dyn Fn() -> std::io::Result<()>| {
            exchanges.fetch_add(1, Ordering::SeqCst);
            done().unwrap();
            exchanges.fetch_add(1, Ordering::SeqCst);
        };
        std::thread::scope(|scope| {
            let looker = scope.spawn(|| {
                let (mut seen, mut missed) = (0_u64, 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    let before = exchanges.load(Ordering::SeqCst);
                    let is_missing = !from.join("file").exists();
                    if exchanges.load(Ordering::SeqCst).div_ceil(2) - before / 2 <= 1 {
                        seen += 1;
                        missed += u64::from(is_missing);
                    }
                }
                (seen, missed)
            });
            for _ in 0..50 {
                exchange(&|| leave_link(&from, &to, &to));
                exchange(&|| take_back(&from, &to));
            }
            stop.store(true, Ordering::Relaxed);
            let (seen, missed) = looker.join().unwrap();
            assert!(seen > 0 && missed == 0, "missing {missed} times of {seen}");
        });
    }
}
