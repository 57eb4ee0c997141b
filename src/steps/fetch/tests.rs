//! Against real repositories made with git, over real transports.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::steps::testing::{Bench, write};

/// Runs git in `dir` and returns what it printed.
pub(super) fn git(dir: &Path, args: &[&str]) -> String {
    let out = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "a@b")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "a@b")])
        .output()
        .unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// A repository with one commit on `main`.
pub(super) fn repository(bench: &Bench) -> PathBuf {
    let dir = bench.root().join("repository");
    std::fs::create_dir(&dir).unwrap();
    git(&dir, &["init", "--quiet", "-b", "main"]);
    write(&dir.join("app/main.py"), "print(1)\n");
    write(&dir.join("start"), "#!/bin/sh\n");
    std::fs::set_permissions(dir.join("start"), PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("app/main.py", dir.join("link")).unwrap();
    commit(&dir, "Begin");
    dir
}

fn commit(dir: &Path, subject: &str) -> String {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "--quiet", "--allow-empty", "-m", subject]);
    git(dir, &["rev-parse", "HEAD"])
}

pub(super) async fn fetch(bench: &Bench, wanted: Option<&str>) -> Result<Fetched, Cause> {
    let wanted = wanted.map(|wanted| wanted.parse().unwrap());
    match run(&bench.job(7, Work::Fetch { wanted, on_branch: false, running: None })).await {
        Ok(Output::Fetched(fetched)) => Ok(fetched),
        Ok(other) => panic!("{other:?}"),
        Err(cause) => Err(cause),
    }
}

/// As something that came by itself.
async fn fetch_on_branch(bench: &Bench, wanted: &str) -> Result<Outcome, Cause> {
    Ok(run(&bench.job(7, Work::Fetch { wanted: Some(wanted.parse().unwrap()), on_branch: true, running: None })).await)
}

#[tokio::test]
async fn what_comes_by_itself_must_be_part_of_the_branch() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let first = git(&dir, &["rev-parse", "HEAD"]);
    git(&dir, &["checkout", "--quiet", "-b", "feature"]);
    let aside = commit(&dir, "Not reviewed yet");
    git(&dir, &["checkout", "--quiet", "main"]);
    let head = commit(&dir, "Second");
    for good in [&first, &head] {
        assert!(fetch_on_branch(&bench, good).await.unwrap().is_ok(), "{good}");
    }
    let cause = fetch_on_branch(&bench, &aside).await.unwrap().unwrap_err();
    assert_eq!(cause.what, format!("{} is not part of the branch main", &aside[..8]));
    assert!(fetch(&bench, Some(&aside)).await.is_ok(), "a person may");
    git(&dir, &["branch", &first, &head]);
    let cause = fetch_on_branch(&bench, &first).await.unwrap().unwrap_err();
    assert_eq!(cause.what, format!("a branch or tag is called {first}, like the commit that was meant"));
}

async fn ask(bench: &Bench) -> Result<Sha, Cause> {
    match ask::run(&bench.job(0, Work::Ask)).await {
        Ok(Output::Asked { revision }) => Ok(revision),
        Ok(other) => panic!("{other:?}"),
        Err(cause) => Err(cause),
    }
}

#[tokio::test]
async fn asking_tells_where_the_branch_is_and_leaves_no_mirror() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let first = git(&dir, &["rev-parse", "HEAD"]);
    assert_eq!(ask(&bench).await.unwrap().as_str(), first);
    let second = commit(&dir, "Second");
    git(&dir, &["branch", "other", &first]);
    assert_eq!(ask(&bench).await.unwrap().as_str(), second);
    assert!(!bench.at(&paths::fetched(bench.app())).join("mirror.git").exists());
    git(&dir, &["checkout", "--quiet", "--detach"]);
    git(&dir, &["branch", "--quiet", "-D", "main"]);
    assert!(ask(&bench).await.unwrap_err().what.starts_with("there is no branch main at file:///"));
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(ask(&bench).await.unwrap_err().what.starts_with("there is no repository at "));
}

fn tree(bench: &Bench, revision: &Sha) -> PathBuf {
    bench.at(&paths::exported(bench.app(), revision))
}

#[tokio::test]
async fn exports_exactly_what_is_in_the_commit() {
    let bench = Bench::new();
    let dir = repository(&bench);
    write(&dir.join(".gitattributes"), "*.txt text eol=crlf ident\n");
    write(&dir.join("a.txt"), "$Id$\n");
    let head = commit(&dir, "Second \u{1b}[31mred");
    let fetched = fetch(&bench, None).await.unwrap();
    assert_eq!(
        (fetched.revision.as_str(), fetched.subject.as_str(), fetched.author.as_str()),
        (&*head, "Second red", "Ada")
    );

    let tree = tree(&bench, &fetched.revision);
    assert_eq!(std::fs::read_to_string(tree.join("REVISION")).unwrap().trim(), head);
    assert_eq!(std::fs::read_to_string(tree.join("a.txt")).unwrap(), "$Id$\n");
    assert_eq!(std::fs::read_link(tree.join("link")).unwrap(), Path::new("app/main.py"));
    let mode = |name: &str| std::fs::metadata(tree.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("app"), mode("app/main.py"), mode("start"), mode("REVISION")), (0o755, 0o644, 0o755, 0o644));
    let mut names = files::names(&tree).unwrap();
    names.retain(|name| name != "REVISION");
    assert_eq!(names, [".gitattributes", "a.txt", "app", "link", "start"]);
}

#[tokio::test]
async fn a_name_is_a_branch_then_a_tag_then_a_commit() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let first = git(&dir, &["rev-parse", "HEAD"]);
    git(&dir, &["tag", "-a", "-m", "first", "v1"]);
    let second = commit(&dir, "Second");
    git(&dir, &["checkout", "--quiet", "-b", "feature/x", &first]);
    let third = commit(&dir, "Third");
    git(&dir, &["tag", "both", &first]);
    git(&dir, &["branch", "both", &second]);
    for (wanted, revision) in [
        ("main", &second),
        ("feature/x", &third),
        ("v1", &first),
        ("both", &second),
        (&first, &first),
        (&third[..7], &third),
    ] {
        assert_eq!(fetch(&bench, Some(wanted)).await.unwrap().revision.as_str(), revision, "{wanted}");
    }
    let cause = fetch(&bench, Some("mian")).await.unwrap_err();
    assert_eq!(cause.what, "no branch, tag or commit is called mian");
    assert!(cause.hint.as_ref().unwrap().starts_with("there are branches main, "), "{cause:?}");
    let cause = fetch(&bench, Some(&first[..6])).await.unwrap_err();
    assert!(cause.what.contains("a commit needs at least 7 digits"), "{cause:?}");
    assert!(fetch(&bench, Some(&"f".repeat(40))).await.unwrap_err().what.starts_with("no branch, tag or commit"));
}

#[tokio::test]
async fn follows_the_server_through_forced_pushes_and_deletions() {
    let bench = Bench::new();
    let dir = repository(&bench);
    git(&dir, &["branch", "gone"]);
    git(&dir, &["tag", "moved"]);
    fetch(&bench, Some("gone")).await.unwrap();
    git(&dir, &["commit", "--quiet", "--amend", "-m", "Rewritten"]);
    git(&dir, &["branch", "-D", "gone"]);
    // A branch where a folder of branches was, and the other way round.
    git(&dir, &["branch", "gone/deeper"]);
    git(&dir, &["tag", "-f", "moved"]);
    let head = git(&dir, &["rev-parse", "HEAD"]);
    for wanted in ["main", "moved", "gone/deeper"] {
        assert_eq!(fetch(&bench, Some(wanted)).await.unwrap().revision.as_str(), head, "{wanted}");
    }
    assert!(fetch(&bench, Some("gone")).await.is_err());
}

#[tokio::test]
async fn a_damaged_mirror_is_made_anew() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let mirror = bench.at(&paths::fetched(bench.app())).join("mirror.git");
    let damages: [fn(&Path); 5] = [
        |mirror| std::fs::write(mirror.join("refs/heads/main"), "").unwrap(),
        |mirror| std::fs::write(mirror.join("refs/heads/main.lock"), "").unwrap(),
        |mirror| std::fs::remove_file(mirror.join("HEAD")).unwrap(),
        |mirror| {
            for name in files::names(&mirror.join("objects/pack")).unwrap() {
                let path = mirror.join("objects/pack").join(name);
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
                std::fs::write(path, "").unwrap();
            }
        },
        |mirror| std::fs::remove_dir_all(mirror.join("objects")).unwrap(),
    ];
    for (number, damage) in damages.iter().enumerate() {
        let old = fetch(&bench, None).await.unwrap();
        damage(&mirror);
        // What was exported is whole; without this the damaged mirror might not be needed at all.
        std::fs::remove_dir_all(tree(&bench, &old.revision)).unwrap();
        write(&dir.join("number"), &number.to_string());
        let head = commit(&dir, "Next");
        let new = fetch(&bench, None).await.unwrap_or_else(|cause| panic!("damage {number}: {cause:?}"));
        assert_eq!(new.revision.as_str(), head, "damage {number}");
        let number_there = std::fs::read_to_string(tree(&bench, &new.revision).join("number")).unwrap();
        assert_eq!(number_there, number.to_string());
    }
}

#[tokio::test]
async fn leftovers_of_a_crash_are_not_used_and_old_trees_go() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let trees = bench.at(&paths::fetched(bench.app())).join("trees");
    let head = git(&dir, &["rev-parse", "HEAD"]);
    write(&trees.join(format!(".new-{head}/half")), "");
    let mirror = bench.at(&paths::fetched(bench.app())).join("mirror.git");
    let first = fetch(&bench, None).await.unwrap().revision;
    let received = mirror.join("objects/pack/pack_git2_abc");
    write(&received, "half");
    assert!(!tree(&bench, &first).join("half").exists());
    for number in 0..4 {
        commit(&dir, &format!("Change {number}"));
        fetch(&bench, None).await.unwrap();
    }
    assert!(!received.exists());
    assert!(!tree(&bench, &first).exists());
    assert_eq!(files::names(&trees).unwrap().len(), 3);
}

/// Adds a tree entry that git itself would not make.
fn hostile(dir: &Path, entries: &str) -> String {
    let tree = git_in(dir, &["mktree", "--missing"], entries);
    let id = git(dir, &["commit-tree", &tree, "-m", "Hostile"]);
    git(dir, &["update-ref", "refs/heads/main", &id]);
    id
}

fn git_in(dir: &Path, args: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut child =
        Command::new("git").args(args).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_tree_that_reaches_out_is_refused() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let blob = |text: &str| git_in(&dir, &["hash-object", "-w", "--stdin"], text);
    let (text, etc, up) = (blob("x"), blob("/etc"), blob("../../outside"));
    let inner = git_in(&dir, &["mktree"], &format!("100644 blob {text}\tpasswd\n"));
    for (entries, why) in [
        (format!("120000 blob {etc}\tlink\n"), "the link link → /etc leaves the release"),
        (format!("120000 blob {up}\tlink\n"), "the link link → ../../outside leaves the release"),
        (format!("100644 blob {text}\t..\n"), ".. has a name that is not allowed"),
        (format!("040000 tree {inner}\t.git\n"), ".git has a name that is not allowed"),
        (format!("040000 tree {inner}\t.GIT\n"), ".GIT has a name that is not allowed"),
        (format!("120000 blob {etc}\ta\n040000 tree {inner}\ta\n"), "a: File exists"),
    ] {
        let id = hostile(&dir, &entries);
        let cause = fetch(&bench, None).await.unwrap_err();
        assert!(cause.what.contains(why), "{entries}: {cause:?}");
        assert!(!tree(&bench, &id.parse().unwrap()).exists(), "{entries}");
    }
}

#[tokio::test]
async fn a_submodule_is_left_out() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let head = git(&dir, &["rev-parse", "HEAD"]);
    git(&dir, &["update-index", "--add", "--cacheinfo", &format!("160000,{head},vendor")]);
    git(&dir, &["commit", "--quiet", "-m", "Submodule"]);
    let fetched = fetch(&bench, None).await.unwrap();
    assert!(!tree(&bench, &fetched.revision).join("vendor").exists());
}

#[tokio::test]
async fn says_what_is_wrong_with_the_address() {
    let mut bench = Bench::new();
    let cause = fetch(&bench, None).await.unwrap_err();
    assert!(cause.what.starts_with("there is no repository at file://"), "{cause:?}");

    let dir = bench.root().join("repository");
    std::fs::create_dir(&dir).unwrap();
    git(&dir, &["init", "--quiet", "--bare", "-b", "main"]);
    let cause = fetch(&bench, None).await.unwrap_err();
    assert!(cause.what.contains("nothing was pushed to it yet"), "{cause:?}");

    // Nobody listens at a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    bench.settings.source.url = format!("http://127.0.0.1:{port}/a.git");
    let cause = fetch(&bench, None).await.unwrap_err();
    assert!(cause.what.contains("cannot be reached"), "{cause:?}");
    bench.settings.source.url = format!("ssh://git@127.0.0.1:{port}/a.git");
    let cause = fetch(&bench, None).await.unwrap_err();
    assert!(cause.what.starts_with("the host keys cannot be read"), "{cause:?}");
    assert!(cause.hint.unwrap().contains(&format!("ssh-keyscan -p {port} 127.0.0.1")));
    write(&bench.settings.source.known_hosts, "");
    let cause = fetch(&bench, None).await.unwrap_err();
    assert!(cause.what.contains("cannot be reached"), "{cause:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_hold_the_step() {
    let mut bench = Bench::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    bench.settings.source.url = format!("http://127.0.0.1:{port}/a.git");
    bench.settings.source.timeout = Duration::from_millis(200);
    let cause = fetch(&bench, None).await.unwrap_err();
    assert_eq!(cause.what, "the fetch took longer than 0.2 s");
}
