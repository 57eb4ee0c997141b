//! Deletes releases that nobody needs any more, and what crashes left behind.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{self, on};
use super::output::say;
use super::{Job, Outcome, blocking, not_mine};
use crate::model::journal::{Cause, Output};
use crate::model::names::ReleaseId;
use crate::model::request::Work;
use crate::paths;

/// Deletes all releases but those to keep and those that a link points to.
pub async fn run(job: &Job) -> Outcome {
    let Work::Prune { keep } = &job.request.work else { return Err(not_mine()) };
    let app = &job.settings.app;
    let (releases, links) = (job.at(&paths::releases(app)), job.at(&paths::links(app)));
    let mut keep: BTreeSet<ReleaseId> = keep.iter().copied().collect();
    blocking(move || {
        // The core knows what to keep; the link is what the application runs on, whatever the core believes.
        keep.extend(linked(&links)?);
        let pruned = prune(&releases, &keep)?;
        Ok(Output::Pruned { releases: pruned })
    })
    .await
}

/// The releases that links point to.
fn linked(links: &Path) -> Result<Vec<ReleaseId>, Cause> {
    let mut found: Vec<ReleaseId> = Vec::new();
    for name in files::names(links)? {
        let path = links.join(name);
        match std::fs::read_link(&path) {
            Ok(target) => found.extend(target.file_name().and_then(|name| name.to_str()?.parse::<ReleaseId>().ok())),
            // Not a link, such as the door.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            // Moved meanwhile; not knowing where to, nothing may be deleted.
            Err(error) => return Err(on(&path)(error)),
        }
    }
    Ok(found)
}

fn prune(releases: &Path, keep: &BTreeSet<ReleaseId>) -> Result<Vec<ReleaseId>, Cause> {
    let mut pruned: Vec<ReleaseId> = Vec::new();
    let mut doomed: Vec<PathBuf> = Vec::new();
    for name in files::names(releases)? {
        let Some(name) = name.to_str() else { continue };
        if name.starts_with(".new-") || name.starts_with(".old-") {
            doomed.push(releases.join(name));
        }
        // Only a name that we would give: a folder called 007 is somebody else's.
        let Some(id) = name.parse::<ReleaseId>().ok().filter(|id| id.to_string() == name) else { continue };
        if keep.contains(&id) {
            continue;
        }
        // A release is whole or not there at all, also when this is interrupted.
        let old = releases.join(format!(".old-{id}"));
        files::remove(&old)?;
        std::fs::rename(releases.join(name), &old).map_err(on(&old))?;
        doomed.push(old);
        pruned.push(id);
    }
    files::sync_dir(releases)?;
    doomed.iter().try_for_each(|path| files::remove(path))?;
    pruned.sort_unstable();
    for id in &pruned {
        say(&format!("deleted release {id}"));
    }
    Ok(pruned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::steps::testing::{Bench, write};

    fn ids(ids: &[u32]) -> Vec<ReleaseId> {
        ids.iter().copied().map(ReleaseId).collect()
    }

    async fn prune(bench: &Bench, keep: &[u32]) -> Outcome {
        run(&bench.job(50, Work::Prune { keep: ids(keep) })).await
    }

    fn left(bench: &Bench) -> Vec<String> {
        let names = files::names(&bench.at(&paths::releases(bench.app()))).unwrap();
        names.into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    fn bench(releases: &[&str]) -> Bench {
        let bench = Bench::new();
        for name in releases {
            write(&bench.at(&paths::releases(bench.app())).join(name).join("app/main.py"), "");
        }
        bench
    }

    #[tokio::test]
    async fn keeps_what_is_kept_and_what_a_link_points_to() {
        let bench = bench(&["7", "39", "40", "41", "42", "100", ".new-43", ".old-38", ".cache", "notes", "007"]);
        let links = bench.at(&paths::links(bench.app()));
        symlink("../releases/40", links.join("current")).unwrap();
        symlink("../releases/39/", links.join("a")).unwrap();
        write(&links.join("closed"), "");
        assert_eq!(prune(&bench, &[42]).await.unwrap(), Output::Pruned { releases: ids(&[7, 41, 100]) });
        assert_eq!(left(&bench), [".cache", "007", "39", "40", "42", "notes"]);
        assert_eq!(prune(&bench, &[42]).await.unwrap(), Output::Pruned { releases: Vec::new() });
    }

    #[tokio::test]
    async fn an_interrupted_deletion_is_finished() {
        let bench = bench(&["41", ".old-41"]);
        assert_eq!(prune(&bench, &[]).await.unwrap(), Output::Pruned { releases: ids(&[41]) });
        assert!(left(&bench).is_empty());
    }

    #[tokio::test]
    async fn a_link_out_of_a_release_is_not_followed() {
        let bench = bench(&["41"]);
        let outside = bench.root().join("outside");
        write(&outside.join("kept"), "");
        symlink(&outside, bench.release(41).join("uploads")).unwrap();
        symlink(&outside, bench.release(43)).unwrap();
        prune(&bench, &[]).await.unwrap();
        assert!(outside.join("kept").exists() && left(&bench).is_empty());
    }
}
