//! The tree of one commit as plain files: exactly what is in the commit, no filters, no hooks, no `.git`.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::{Commit, ObjectType, Repository, Tree};

use super::Trouble;
use crate::model::journal::Cause;
use crate::model::names::Sha;
use crate::steps::files::{self, Item, Kind, on};
use crate::steps::links;
use crate::steps::output::say;

/// Exported trees that are kept; one is being built, and more than a few are only there to be looked at.
const KEPT: usize = 3;
/// Deeper than any honest tree.
const DEEPEST: usize = 100;

/// Exports the commit to `trees/<revision>`, and deletes the oldest trees.
pub fn export(mirror: &Repository, commit: &Commit<'_>, revision: &Sha, trees: &Path) -> Result<(), Trouble> {
    std::fs::create_dir_all(trees).map_err(on(trees))?;
    let home = trees.join(revision.as_str());
    for name in files::names(trees)?.iter().filter(|name| name.to_string_lossy().starts_with(".new-")) {
        files::remove(&trees.join(name))?;
    }
    if home.exists() {
        // It appeared by a rename when it was complete and durable.
        touch(&home)?;
    } else {
        let new = trees.join(format!(".new-{revision}"));
        let mut export = Export { mirror, top: &new, links: Vec::new(), files: 0 };
        export.folder(&commit.tree()?, &PathBuf::new(), 0)?;
        links::check(&new, &home, &export.links, |_| false)?;
        let files = export.files;
        write_revision(&new, revision)?;
        files::sync_all(&new)?;
        std::fs::rename(&new, &home).map_err(on(&home))?;
        files::sync_dir(trees)?;
        say(&format!("exported {files} files of {}", revision.short()));
    }
    prune(trees, &home)?;
    Ok(())
}

struct Export<'a> {
    mirror: &'a Repository,
    top: &'a Path,
    links: Vec<Item>,
    files: u64,
}

impl Export<'_> {
    fn folder(&mut self, tree: &Tree<'_>, at: &Path, depth: usize) -> Result<(), Trouble> {
        let refuse = |path: &Path, why: &str| Trouble::Final(Cause::new(format!("{} {why}", path.display())));
        if depth == DEEPEST {
            return Err(refuse(at, "is nested too deeply"));
        }
        let here = self.top.join(at);
        // A tree that has one name twice fails here or below, since nothing is ever overwritten.
        std::fs::create_dir(&here).map_err(on(&here))?;
        mode(&here, 0o755)?;
        for entry in tree {
            let name = OsStr::from_bytes(entry.name_bytes());
            let path = at.join(name);
            if !is_plain(entry.name_bytes()) {
                return Err(refuse(&path, "has a name that is not allowed in a release"));
            }
            match (entry.kind(), entry.filemode()) {
                (Some(ObjectType::Tree), _) => {
                    self.folder(&self.mirror.find_tree(entry.id())?, &path, depth + 1)?;
                }
                (Some(ObjectType::Blob), 0o120000) => {
                    let blob = self.mirror.find_blob(entry.id())?;
                    let target = Path::new(OsStr::from_bytes(blob.content()));
                    symlink(target, self.top.join(&path)).map_err(on(&path))?;
                    self.links.push(Item { path, kind: Kind::Link { target: target.to_owned() } });
                    self.files += 1;
                }
                (Some(ObjectType::Blob), bits) => {
                    let file = self.top.join(&path);
                    let blob = self.mirror.find_blob(entry.id())?;
                    create(&file, blob.content(), if bits & 0o111 == 0 { 0o644 } else { 0o755 })?;
                    self.files += 1;
                }
                (Some(ObjectType::Commit), _) => {
                    say(&format!(
                        "warning: the submodule {} is left out: submodules are not supported",
                        path.display()
                    ));
                }
                _ => return Err(refuse(&path, "is of an unknown kind")),
            }
        }
        Ok(())
    }
}

/// Whether a name means an entry of its folder, and not a repository of its own.
fn is_plain(name: &[u8]) -> bool {
    !name.is_empty()
        && name != b"."
        && name != b".."
        && !name.eq_ignore_ascii_case(b".git")
        && !name.contains(&b'/')
        && !name.contains(&0)
}

fn create(path: &Path, content: &[u8], bits: u32) -> Result<(), Cause> {
    let mut file = File::options().write(true).create_new(true).open(path).map_err(on(path))?;
    file.write_all(content).map_err(on(path))?;
    file.set_permissions(Permissions::from_mode(bits)).map_err(on(path))
}

fn mode(path: &Path, bits: u32) -> Result<(), Cause> {
    std::fs::set_permissions(path, Permissions::from_mode(bits)).map_err(on(path))
}

/// Says in the tree which commit it is, for applications that tell it.
fn write_revision(tree: &Path, revision: &Sha) -> Result<(), Cause> {
    let path = tree.join("REVISION");
    if path.symlink_metadata().is_ok() {
        say("warning: the file REVISION of the repository is replaced by the agent's");
        std::fs::remove_file(&path).map_err(on(&path))?;
    }
    create(&path, format!("{revision}\n").as_bytes(), 0o644)
}

fn touch(dir: &Path) -> Result<(), Cause> {
    File::open(dir).and_then(|dir| dir.set_modified(SystemTime::now())).map_err(on(dir))
}

fn prune(trees: &Path, keep: &Path) -> Result<(), Cause> {
    let mut others = Vec::new();
    for name in files::names(trees)? {
        let path = trees.join(name);
        if path != keep {
            let time = path.symlink_metadata().and_then(|meta| meta.modified()).map_err(on(&path))?;
            others.push((time, path));
        }
    }
    others.sort();
    let surplus = (others.len() + 1).saturating_sub(KEPT);
    others.iter().take(surplus).try_for_each(|(_, path)| files::remove(path))
}
