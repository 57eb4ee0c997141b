//! The files of one commit, without having them on disk.

use std::path::{Component, Path, PathBuf};

use git2::{Commit, ObjectType, Repository};

use super::Trouble;

/// The files of a commit, named as from its working directory.
pub struct Tree<'a> {
    mirror: &'a Repository,
    tree: git2::Tree<'a>,
    workdir: PathBuf,
}

impl<'a> Tree<'a> {
    /// The files of `commit`.
    pub fn of(mirror: &'a Repository, commit: &Commit<'a>, workdir: &Path) -> Result<Self, Trouble> {
        Ok(Self { mirror, tree: commit.tree()?, workdir: plain(workdir).unwrap_or_default() })
    }

    /// Where a path in the working directory is in the commit; `None` if it is outside.
    pub fn at(&self, path: &Path) -> Option<PathBuf> {
        plain(&self.workdir.join(path))
    }

    /// The text of a file that the commit has at this path; `None` if it has none there.
    pub fn text(&self, at: &Path) -> Option<String> {
        let entry = self.tree.get_path(at).ok()?;
        let blob = self.mirror.find_blob(entry.id()).ok()?;
        Some(String::from_utf8_lossy(blob.content()).into_owned())
    }

    /// A file in the working directory or in a folder above it.
    pub fn upwards(&self, name: &str) -> Option<PathBuf> {
        let mut places = self.workdir.ancestors().map(|folder| folder.join(name));
        places.find(|place| self.text(place).is_some())
    }

    /// The files below a folder; with `deep`, those of its folders as well.
    pub fn files(&self, folder: &Path, deep: bool) -> Vec<PathBuf> {
        let tree = if folder.as_os_str().is_empty() {
            Some(self.tree.clone())
        } else {
            self.tree.get_path(folder).ok().and_then(|entry| self.mirror.find_tree(entry.id()).ok())
        };
        let Some(tree) = tree else { return Vec::new() };
        let mut found = Vec::new();
        for entry in &tree {
            let Ok(name) = entry.name() else { continue };
            let path = folder.join(name);
            match entry.kind() {
                Some(ObjectType::Blob) => found.push(path),
                Some(ObjectType::Tree) if deep => found.extend(self.files(&path, deep)),
                _ => {}
            }
        }
        found
    }

    /// A path of the commit as it is seen from the working directory.
    pub fn shown(&self, at: &Path) -> String {
        at.strip_prefix(&self.workdir).unwrap_or(at).display().to_string()
    }
}

/// The path without detours; `None` if it leaves the commit.
pub fn plain(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(out)
}
