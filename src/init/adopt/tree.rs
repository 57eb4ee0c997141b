//! The checkout as the first sealed release.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User};

use crate::init::machine::Failure;
use crate::model::names::{App, ReleaseId, Sha};
use crate::paths;
use crate::steps::{files, links, manifest};

/// Programs of an environment are small; what is larger is none that names its own path in its first line.
const LARGEST_PROGRAM: u64 = 1 << 20;

/// What becomes a release.
#[derive(Debug)]
pub struct Tree<'a> {
    /// The application.
    pub app: &'a App,
    /// The checkout.
    pub from: &'a Path,
    /// The path that its programs know it by.
    pub known_as: &'a Path,
    /// What stays behind.
    pub without: &'a [PathBuf],
    /// Folders that become links.
    pub shared: &'a [String],
    /// The environment.
    pub venv: Option<&'a str>,
    /// The commit.
    pub revision: &'a Sha,
}

/// Copies it to `releases/<id>`, whole or not at all. Done again, it changes nothing.
///
/// # Errors
/// It cannot be copied, or what is there already is another release.
pub fn seal(tree: &Tree<'_>, id: ReleaseId) -> Result<(), Failure> {
    let home = paths::release(tree.app, id);
    let failed = |what: &str| {
        let what = format!("{what} {}", home.display());
        move |why: String| Failure::new(what, why)
    };
    if home.exists() {
        let header = manifest::verify(&home).map_err(|cause| failed("look at")(cause.what))?;
        return match header.revision == *tree.revision {
            true => Ok(()),
            false => Err(failed("look at")(format!("it is revision {} already", header.revision))),
        };
    }
    copy(tree, id, &home).map_err(failed("seal"))
}

fn copy(tree: &Tree<'_>, id: ReleaseId, home: &Path) -> Result<(), String> {
    let releases = paths::releases(tree.app);
    let cause = |cause: crate::model::journal::Cause| cause.what;
    let new = releases.join(format!(".adopt-{id}"));
    files::remove(&new).map_err(cause)?;
    files::copy_without(tree.from, &new, tree.without).map_err(cause)?;
    dress(tree, &new, home).map_err(|error| error.to_string())?;
    let items = files::list(&new).map_err(cause)?;
    // What a link may point at was nobody's rule until now: a virtual environment may come from a home folder.
    links::check(&new, home, &items, |_| true).map_err(cause)?;
    let (header, lines) = manifest::describe(id, tree.revision, &items).map_err(cause)?;
    manifest::write(&new, &header, &lines).map_err(cause)?;
    let owner = User::from_name("tsh-agent-release").ok().flatten().ok_or("there is no user tsh-agent-release")?;
    give(&new, owner.uid, owner.gid).map_err(|error| error.to_string())?;
    files::sync_all(&new).map_err(cause)?;
    fs::rename(&new, home).map_err(|error| error.to_string())?;
    files::sync_dir(&releases).map_err(cause)
}

/// Links to the shared folders, the commit, and programs that name the release itself: a process that starts through the
/// link must not import from another release once the link moves.
fn dress(tree: &Tree<'_>, new: &Path, home: &Path) -> std::io::Result<()> {
    for folder in tree.shared {
        let place = new.join(folder);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        symlink(super::shared(tree.app, folder), place)?;
    }
    let revision = new.join("REVISION");
    if !revision.exists() {
        fs::write(&revision, format!("{}\n", tree.revision))?;
        fs::set_permissions(&revision, fs::Permissions::from_mode(0o644))?;
    }
    let Some(venv) = tree.venv else { return Ok(()) };
    let (old, now) = (tree.known_as.to_string_lossy(), home.to_string_lossy());
    let programs = fs::read_dir(new.join(venv).join("bin"))?.collect::<Result<Vec<_>, _>>()?;
    for file in programs.iter().map(fs::DirEntry::path).chain([new.join(venv).join("pyvenv.cfg")]) {
        let Ok(found) = fs::symlink_metadata(&file) else { continue };
        if !found.is_file() || found.len() > LARGEST_PROGRAM {
            continue;
        }
        // A binary is no text, and stays.
        if let Ok(text) = fs::read_to_string(&file)
            && text.contains(&format!("{old}/"))
        {
            fs::write(&file, text.replace(&format!("{old}/"), &format!("{now}/")))?;
        }
    }
    Ok(())
}

/// Nobody but the step that prunes may change it from now on.
fn give(path: &Path, uid: Uid, gid: Gid) -> std::io::Result<()> {
    std::os::unix::fs::lchown(path, Some(uid.as_raw()), Some(gid.as_raw()))?;
    if super::exchange::is_folder(path) {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}
