//! Room for the journal on a full disk: a file that is let go of when an entry cannot be written, because a deployment
//! that cannot write its journal cannot go back either.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Enough for many deployments: an entry is some hundred bytes, in a page or two of 4 KiB.
const SIZE: i64 = 8 << 20;

fn file(state: &Path) -> PathBuf {
    state.join("ballast")
}

/// Takes the room, if it is not taken.
///
/// # Errors
/// If there is none.
pub fn take(state: &Path) -> io::Result<()> {
    let path = file(state);
    if fs::metadata(&path).is_ok_and(|meta| i64::try_from(meta.len()).is_ok_and(|length| length >= SIZE)) {
        return Ok(());
    }
    let taken = File::create(&path).and_then(|file| {
        nix::fcntl::posix_fallocate(&file, 0, SIZE)?;
        file.sync_all()
    });
    if taken.is_err() {
        // Half of it helps nobody, and what is left of the disk is needed.
        let _ = let_go(state);
    }
    taken
}

/// Lets go of the room; whether there was any.
#[must_use = "without room there is no use in trying again"]
pub fn let_go(state: &Path) -> bool {
    fs::remove_file(file(state)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_real_and_is_given_back() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        take(folder.path()).unwrap();
        take(folder.path()).unwrap();
        let blocks = fs::metadata(file(folder.path())).unwrap().blocks();
        assert!(blocks * 512 >= u64::try_from(SIZE).unwrap(), "only {blocks} blocks are taken");
        assert!(let_go(folder.path()));
        assert!(!let_go(folder.path()));
    }
}
