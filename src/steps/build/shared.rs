//! Folders that all releases share, such as uploads: links in each release.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::model::journal::Cause;
use crate::steps::files::{self, on};
use crate::steps::output::say;

/// Files that only keep an empty folder in git.
const PLACEHOLDERS: [&str; 3] = [".gitkeep", ".gitignore", ".keep"];

/// Refuses, before anything else is done, what the links would hide.
pub fn check(release: &Path, shared: &BTreeMap<PathBuf, String>) -> Result<(), Cause> {
    for path in shared.keys() {
        let in_the_way = content(release, path)?;
        if let Some(file) = in_the_way {
            return Err(Cause::new(format!(
                "{} is shared by all releases, but the revision contains {}",
                path.display(),
                file.display()
            ))
            .hint("remove it from the repository, or share a folder below it"));
        }
    }
    Ok(())
}

/// The first thing at `path` that is more than an empty folder or a link.
fn content(release: &Path, path: &Path) -> Result<Option<PathBuf>, Cause> {
    let place = release.join(path);
    match place.symlink_metadata() {
        Ok(meta) if meta.is_dir() => {
            for name in files::names(&place)? {
                if !PLACEHOLDERS.iter().any(|keep| name == *keep)
                    && let Some(found) = content(release, &path.join(name))?
                {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        }
        Ok(meta) if meta.is_file() => Ok(Some(path.to_owned())),
        _ => Ok(None),
    }
}

/// Puts the links in place of whatever build commands left there.
pub fn link(release: &Path, home: &Path, shared: &BTreeMap<PathBuf, String>) -> Result<(), Cause> {
    for (path, folder) in shared {
        let place = release.join(path);
        files::remove(&place)?;
        if let Some(parent) = place.parent() {
            std::fs::create_dir_all(parent).map_err(on(parent))?;
        }
        let target = home.join(folder);
        symlink(&target, &place).map_err(on(&place))?;
        say(&format!("{} → {}", path.display(), target.display()));
    }
    Ok(())
}
