//! From what a person typed to one commit.

use git2::{BranchType, Commit, ErrorCode, Repository};

use super::Trouble;
use crate::model::journal::Cause;

/// Shorter ones are guesses.
const SHORTEST: usize = 7;
/// Branches that are listed when one is not found.
const LISTED: usize = 5;

/// The commit `wanted` means: a branch before a tag before a commit.
pub fn commit<'a>(mirror: &'a Repository, wanted: &str) -> Result<Commit<'a>, Trouble> {
    for name in [format!("refs/heads/{wanted}"), format!("refs/tags/{wanted}")] {
        match mirror.find_reference(&name) {
            Ok(found) => return peel(&found, wanted),
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let hexadecimal = wanted.len() <= 40 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal && wanted.len() >= SHORTEST {
        match mirror.find_commit_by_prefix(wanted) {
            Ok(commit) => return Ok(commit),
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) if error.code() == ErrorCode::Ambiguous => {
                return Err(Cause::new(format!("{wanted} is the beginning of more than one revision"))
                    .hint("give more digits")
                    .into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(unknown(mirror, wanted, hexadecimal)?.into())
}

/// Makes sure that a pinned commit is what was found, and that it is the branch's: its head, or what led there.
pub fn part_of(mirror: &Repository, commit: &Commit<'_>, pinned: Option<&str>, branch: &str) -> Result<(), Trouble> {
    let found = commit.id().to_string();
    // A branch may be called like a commit, to be taken for it.
    if let Some(pinned) = pinned.filter(|pinned| **pinned != found) {
        return Err(Cause::new(format!("a branch or tag is called {pinned}, like the commit that was meant")).into());
    }
    let head = self::commit(mirror, branch)?.id();
    if head == commit.id() || mirror.graph_descendant_of(head, commit.id())? {
        return Ok(());
    }
    Err(Cause::new(format!("{} is not part of the branch {branch}", &found[..8]))
        .hint("what comes by itself goes live from that branch only; a person may deploy any commit")
        .into())
}

fn peel<'a>(found: &git2::Reference<'a>, wanted: &str) -> Result<Commit<'a>, Trouble> {
    found.peel_to_commit().map_err(|error| match error.code() {
        ErrorCode::Peel | ErrorCode::InvalidSpec => Cause::new(format!("the tag {wanted} is not on a commit")).into(),
        _ => error.into(),
    })
}

/// The cause of a revision that does not exist, with names that are like it.
fn unknown(mirror: &Repository, wanted: &str, hexadecimal: bool) -> Result<Cause, git2::Error> {
    let mut names = Vec::new();
    for branch in mirror.branches(Some(BranchType::Local))? {
        names.push(String::from_utf8_lossy(branch?.0.name_bytes()?).into_owned());
    }
    if names.is_empty() {
        return Ok(Cause::new("the repository has no branches: nothing was pushed to it yet"));
    }
    let what = if hexadecimal && wanted.len() < SHORTEST {
        format!("no branch or tag is called {wanted}; a commit needs at least {SHORTEST} digits")
    } else {
        format!("no branch, tag or commit is called {wanted}")
    };
    names.sort_by(|a, b| strsim::jaro_winkler(b, wanted).total_cmp(&strsim::jaro_winkler(a, wanted)));
    let more = if names.len() > LISTED { ", …" } else { "" };
    names.truncate(LISTED);
    Ok(Cause::new(what).hint(format!("there are branches {}{more}", names.join(", "))))
}
