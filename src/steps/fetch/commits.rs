//! The commits that are new against what runs, each as git has it, for the step that looks at their signatures: it may
//! read neither the mirror nor the key.

use std::io::Write;
use std::path::Path;

use git2::{Commit, ErrorCode, Oid, Repository};

use super::Trouble;
use crate::model::names::Sha;
use crate::steps::files::{self, on};

/// Writes them to `folder`, and nothing else is left there. Without anything that runs, or where the repository has lost
/// it, the commit itself is new, and the parents that it merges.
pub fn export(mirror: &Repository, commit: &Commit<'_>, running: Option<&Sha>, folder: &Path) -> Result<(), Trouble> {
    let new = folder.with_extension("new");
    files::remove(&new)?;
    std::fs::create_dir(&new).map_err(on(&new))?;
    for id in fresh(mirror, commit, running)? {
        let object = mirror.odb()?.read(id).map_err(Trouble::from)?.data().to_vec();
        let path = new.join(id.to_string());
        let mut file = std::fs::File::create(&path).map_err(on(&path))?;
        file.write_all(&object).map_err(on(&path))?;
    }
    files::sync_all(&new)?;
    files::remove(folder)?;
    std::fs::rename(&new, folder).map_err(on(folder))?;
    Ok(())
}

fn fresh(mirror: &Repository, commit: &Commit<'_>, running: Option<&Sha>) -> Result<Vec<Oid>, git2::Error> {
    let running = match running.map(|sha| mirror.find_commit(Oid::from_str(sha.as_str())?)).transpose() {
        Ok(running) => running,
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => return Err(error),
    };
    let Some(running) = running else {
        let merged = commit.parent_ids().filter(|_| commit.parent_count() > 1);
        return Ok(std::iter::once(commit.id()).chain(merged).collect());
    };
    let mut walk = mirror.revwalk()?;
    walk.push(commit.id())?;
    walk.hide(running.id())?;
    // What is deployed again is looked at again.
    let mut all = walk.collect::<Result<Vec<Oid>, _>>()?;
    if all.is_empty() {
        all.push(commit.id());
    }
    Ok(all)
}
