//! Where symbolic links of a tree lead, step by step as the kernel would go, without going there.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::files::{Item, Kind, on};
use crate::model::journal::Cause;

/// As the kernel counts.
const MOST_HOPS: usize = 40;

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Leads {
    /// To something, or nothing, inside the tree.
    Inside,
    /// Out of the tree, to this absolute path (which may contain `..`).
    Out(PathBuf),
    /// In circles.
    Nowhere,
}

/// Follows the link at `link` (relative) in the tree at `tree`, which will live at `home`: absolute links to there stay inside.
pub fn follow(tree: &Path, home: &Path, link: &Path) -> io::Result<Leads> {
    let mut here: Vec<OsString> = Vec::new();
    let mut ahead: VecDeque<OsString> = link.components().map(|part| part.as_os_str().to_owned()).collect();
    let mut hops = 0;
    while let Some(part) = ahead.pop_front() {
        if part == ".." {
            if here.pop().is_none() {
                return Ok(Leads::Out(rest(home.join(".."), &ahead)));
            }
            continue;
        }
        here.push(part);
        let target = match std::fs::read_link(tree.join(here.iter().collect::<PathBuf>())) {
            Ok(target) => target,
            // Not a link, or not there at all: both stay inside.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error),
        };
        hops += 1;
        if hops > MOST_HOPS {
            return Ok(Leads::Nowhere);
        }
        here.pop();
        let inner = if target.is_absolute() {
            match target.strip_prefix(home) {
                Ok(inner) => inner,
                Err(_) => return Ok(Leads::Out(rest(target, &ahead))),
            }
        } else {
            &target
        };
        if target.is_absolute() {
            here.clear();
        }
        for part in inner.components().rev().filter(|part| *part != Component::CurDir) {
            ahead.push_front(part.as_os_str().to_owned());
        }
    }
    Ok(Leads::Inside)
}

fn rest(mut path: PathBuf, ahead: &VecDeque<OsString>) -> PathBuf {
    path.extend(ahead);
    path
}

/// Checks every link of a tree; `allowed` says which places outside may be pointed at.
pub fn check(tree: &Path, home: &Path, items: &[Item], allowed: impl Fn(&Path) -> bool) -> Result<(), Cause> {
    for item in items {
        let Kind::Link { target } = &item.kind else { continue };
        let (path, target) = (item.path.display(), target.display());
        let why = match follow(tree, home, &item.path).map_err(on(&tree.join(&item.path)))? {
            Leads::Inside => continue,
            Leads::Out(out) if allowed(&out) => continue,
            Leads::Out(_) => format!("the link {path} → {target} leaves the release"),
            Leads::Nowhere => format!("the link {path} → {target} leads in circles"),
        };
        return Err(Cause::new(why).hint("links may point inside the release, or to folders under `shared`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_as_the_kernel_does() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path();
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        let home = Path::new("/srv/erp/releases/42");
        let out = |path: &str| Leads::Out(path.into());
        for (link, target, leads) in [
            ("to-file", "a/b/x", Leads::Inside),
            ("a/up", "..", Leads::Inside),
            ("a/b/dangling", "./nothing/here", Leads::Inside),
            ("own-home", "/srv/erp/releases/42/a", Leads::Inside),
            ("a/out", "../..", out("/srv/erp/releases/42/..")),
            ("etc", "/etc", out("/etc")),
            ("through-etc", "etc/../../x", out("/etc/../../x")),
            ("beside", "/srv/erp/releases/421", out("/srv/erp/releases/421")),
            // By its letters this is a/passwd; in truth a/up is the top, and it leaves.
            ("chain", "a/up/../passwd", out("/srv/erp/releases/42/../passwd")),
            ("loop", "loop", Leads::Nowhere),
        ] {
            symlink(target, tree.join(link)).unwrap();
            assert_eq!(follow(tree, home, Path::new(link)).unwrap(), leads, "{link} → {target}");
        }
    }
}
