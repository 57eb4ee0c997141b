//! From which release a process runs, by what the kernel knows of it. What it was started with is no proof where it
//! leads through a link: the link may have moved since.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Fault;
use crate::model::request::Watched;

/// Checks that the unit's main process runs from `release`, one of `releases`.
pub fn check(unit: &Watched, release: &Path, releases: &Path) -> Result<(), Fault> {
    let proc = PathBuf::from(format!("/proc/{}", unit.pid));
    let who = format!("{} (process {})", unit.unit, unit.pid);
    let places = match places(&proc) {
        Ok(places) => places,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Fault::new(format!("{who} cannot be looked at: the probe must run as the application's user")));
        }
        // It is gone, and another one with the same number would not be it.
        Err(_) => return Err(Fault { forever: true, ..Fault::new(format!("{who} has ended")) }),
    };
    // The kernel's paths have no links in them.
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (wanted, releases) = (release.file_name().unwrap_or_default(), real(releases));
    let one_of_ours = |place: &PathBuf| place.strip_prefix(&releases).ok()?.iter().next().map(OsStr::to_owned);
    // Where it works is the strongest sign; what it has opened counts only where that says nothing.
    let seen: BTreeSet<OsString> = match one_of_ours(&places.cwd) {
        Some(release) => [release].into(),
        None => places.files.iter().filter_map(one_of_ours).collect(),
    };
    if let Some(other) = seen.iter().find(|&name| name != wanted) {
        let (place, wanted) = (releases.join(other), wanted.to_string_lossy());
        return Err(Fault::new(format!("{who} runs from {}, not from {wanted}", place.display())));
    }
    if seen.is_empty() {
        let place = places.cwd.display();
        return Err(Fault::new(format!(
            "{who} does not run from a release: it works in {place}; its unit needs WorkingDirectory= in the release"
        )));
    }
    Ok(())
}

struct Places {
    cwd: PathBuf,
    files: Vec<PathBuf>,
}

/// Where a process works, and the files it runs.
fn places(proc: &Path) -> io::Result<Places> {
    let cwd = std::fs::read_link(proc.join("cwd"))?;
    let mut files = vec![std::fs::read_link(proc.join("exe"))?];
    let maps = std::fs::read(proc.join("maps"))?;
    let mapped =
        maps.split(|byte| *byte == b'\n').filter_map(|line| line.iter().position(|b| *b == b'/').map(|at| &line[at..]));
    files.extend(mapped.map(|path| PathBuf::from(OsStr::from_bytes(path))));
    // Only absolute ones that mean the release by its own name.
    let words = std::fs::read(proc.join("cmdline"))?;
    files.extend(
        words
            .split(|byte| *byte == 0)
            .filter(|word| word.first() == Some(&b'/'))
            .map(|word| PathBuf::from(OsStr::from_bytes(word))),
    );
    files.dedup();
    Ok(Places { cwd, files })
}
