//! Against real repositories made with git.

use super::super::tests::{git, repository};
use super::*;
use crate::config::Lock;
use crate::steps::testing::{Bench, write};

async fn compare(bench: &Bench, wanted: Option<&str>, against: Option<&str>, at: &[&str]) -> Result<Compared, Cause> {
    let parse = |name: &str| name.parse::<Wanted>().unwrap();
    let work = Work::Plan {
        wanted: wanted.map(parse),
        against: against.map(parse),
        current: Some(at.iter().map(|name| name.parse().unwrap()).collect()),
    };
    match run(&bench.job(0, work)).await {
        Ok(Output::Compared(compared)) => Ok(*compared),
        Ok(other) => panic!("{other:?}"),
        Err(cause) => Err(cause),
    }
}

fn commit(dir: &std::path::Path, subject: &str) -> String {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "--quiet", "--allow-empty", "-m", subject]);
    git(dir, &["rev-parse", "HEAD"])
}

fn subjects(commits: &Commits) -> Vec<&str> {
    commits.newest.iter().map(|commit| commit.subject.as_str()).collect()
}

#[tokio::test]
async fn commits_on_both_sides_are_counted_and_the_newest_come_first() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let first = git(&dir, &["rev-parse", "HEAD"]);
    git(&dir, &["checkout", "--quiet", "-b", "aside"]);
    commit(&dir, "Try something \u{1b}[31mred");
    git(&dir, &["checkout", "--quiet", "main"]);
    for number in 0..=TOLD {
        commit(&dir, &format!("Change {number}"));
    }
    let found = compare(&bench, None, Some(&first), &[]).await.unwrap();
    assert_eq!((found.new.count, found.new.newest.len(), found.gone.count), (TOLD + 1, TOLD, 0));
    assert_eq!(found.new.newest[0].subject, format!("Change {TOLD}"));
    assert_eq!((found.to.author.as_str(), found.from.unwrap().subject.as_str()), ("Ada", "Begin"));
    let found = compare(&bench, Some("aside"), Some("main"), &[]).await.unwrap();
    assert_eq!((subjects(&found.new), found.gone.count), (vec!["Try something red"], TOLD + 1));
    assert!(!bench.at(&paths::fetched(bench.app())).join("mirror.git").exists(), "the deployments' mirror is theirs");
    assert!(!bench.at(&paths::fetched(bench.app())).join("trees").exists(), "nothing is exported");
}

#[tokio::test]
async fn what_the_repository_has_lost_is_no_error_and_what_it_never_had_is() {
    let bench = Bench::new();
    let dir = repository(&bench);
    let first = git(&dir, &["rev-parse", "HEAD"]);
    let lost = "1".repeat(40);
    // A branch that is called like a commit is not that commit.
    git(&dir, &["branch", &lost, &first]);
    let found = compare(&bench, None, Some(&lost), &[]).await.unwrap();
    assert_eq!((found.from, found.new.count), (None, 0));
    let cause = compare(&bench, Some("nothing-so"), None, &[]).await.unwrap_err();
    assert!(cause.what.starts_with("no branch, tag or commit is called nothing-so"), "{cause:?}");
    assert!(compare(&bench, None, Some("nothing-so"), &[]).await.is_err());
}

#[tokio::test]
async fn a_mirror_that_is_damaged_is_made_anew() {
    let bench = Bench::new();
    repository(&bench);
    compare(&bench, None, None, &[]).await.unwrap();
    let mirror = bench.at(&paths::fetched(bench.app())).join("plan/mirror.git");
    std::fs::remove_dir_all(mirror.join("objects")).unwrap();
    assert_eq!(compare(&bench, None, None, &[]).await.unwrap().to.subject, "Begin");
}

#[tokio::test]
async fn packages_are_those_that_the_settings_choose() {
    let mut bench = Bench::new();
    bench.settings.build.workdir = "backend".into();
    let dir = repository(&bench);
    write(&dir.join("backend/more/base.txt"), "anyio==4.0\n");
    write(&dir.join("requirements.txt"), "-r backend/more/base.txt\nfastapi==0.1 \\\n  --hash=sha256:1\nclick\n");
    let first = commit(&dir, "Requirements");
    write(&dir.join("backend/more/base.txt"), "anyio==4.1\n");
    write(&dir.join("requirements.txt"), "-r backend/more/base.txt\nfastapi==0.1 \\\n  --hash=sha256:2\nclick\n");
    commit(&dir, "Others");
    let found = compare(&bench, None, Some(&first), &[]).await.unwrap().packages;
    assert_eq!((found.file.as_deref(), found.before, found.loose), (Some("requirements.txt"), None, 1));
    let told: Vec<_> =
        found.changes.iter().map(|one| (one.name.as_str(), one.old.as_deref(), one.new.as_deref())).collect();
    assert_eq!(told, [("anyio", Some("4.0"), Some("4.1"))]);

    write(&dir.join("uv.lock"), "[[package]]\nname = \"anyio\"\nversion = \"4.1\"\n");
    commit(&dir, "Lock");
    let found = compare(&bench, None, Some(&first), &[]).await.unwrap().packages;
    assert_eq!((found.file.as_deref(), found.before.as_deref()), (Some("uv.lock"), Some("requirements.txt")));
    assert_eq!(found.changes.len(), 3, "{found:?}");

    write(&dir.join("uv.lock"), "broken");
    write(&dir.join("requirements.txt"), "-r /etc/passwd\n");
    commit(&dir, "Break");
    let found = compare(&bench, None, Some(&first), &[]).await.unwrap().packages;
    assert!(found.unknown.unwrap().starts_with("uv.lock cannot be read: "));
    bench.settings.build.lock = Lock::Requirements("../requirements.txt".into());
    let found = compare(&bench, None, Some(&first), &[]).await.unwrap().packages;
    assert_eq!(found.unknown.unwrap(), "requirements.txt includes what is not in the revision: /etc/passwd");
    bench.settings.build.lock = Lock::Command(vec!["make".into()]);
    assert!(compare(&bench, None, Some(&first), &[]).await.unwrap().packages.unknown.is_some());
    bench.settings.build.lock = Lock::None;
    assert_eq!(compare(&bench, None, Some(&first), &[]).await.unwrap().packages, plan::Packages::default());
}

fn names(all: &[plan::Migration]) -> Vec<&str> {
    all.iter().map(|one| one.revision.as_str()).collect()
}

#[tokio::test]
async fn migrations_are_read_and_not_run() {
    let mut bench = Bench::new();
    bench.settings.database = crate::config::testing::settings().database;
    let dir = repository(&bench);
    let version = |revision: &str, below: &str| {
        let below = if below.is_empty() { "None".to_owned() } else { format!("{below:?}") };
        let text = format!("\"\"\"Do {revision}\"\"\"\nrevision = \"{revision}\"\ndown_revision = {below}\n");
        write(&dir.join(format!("alembic/versions/{revision}.py")), &text);
    };
    write(&dir.join("alembic.ini"), "[alembic]\nscript_location = %(here)s/alembic\n");
    version("0001", "");
    version("0002", "0001");
    let first = commit(&dir, "Two");
    version("0003", "0002");
    write(&dir.join("alembic/versions/__init__.py"), "");
    write(&dir.join("alembic/versions/0001.py"), "revision = \"0001\"\ndown_revision = None\nedited = 1\n");
    commit(&dir, "Three");
    let found = compare(&bench, None, Some(&first), &["0002"]).await.unwrap().migrations;
    assert_eq!(
        (names(&found.pending), names(&found.added), names(&found.edited)),
        (vec!["0003"], vec!["0003"], vec!["0001"])
    );
    let only = &found.pending[0];
    assert_eq!((only.title.as_str(), only.file.as_str()), ("Do 0003", "alembic/versions/0003.py"));
    assert_eq!((found.unknown, found.trouble), (None, None));
    assert_eq!(names(&compare(&bench, None, None, &[]).await.unwrap().migrations.pending), ["0001", "0002", "0003"]);
    let back = compare(&bench, Some(&first), Some("main"), &["0003"]).await.unwrap().migrations;
    assert_eq!(names(&back.removed), ["0003"]);
    assert_eq!(back.unknown.unwrap(), "the database is at 0003, which this revision does not know");

    version("0003b", "0002");
    commit(&dir, "Two heads");
    let found = compare(&bench, None, None, &["0002"]).await.unwrap().migrations;
    assert_eq!(found.trouble.unwrap(), "the migrations have 2 heads: 0003, 0003b");
    version("0004", "gone");
    commit(&dir, "A gap");
    let found = compare(&bench, None, None, &["0002"]).await.unwrap().migrations;
    assert_eq!(found.unknown.unwrap(), "alembic/versions/0004.py builds upon gone, which is not there");
    write(&dir.join("alembic/versions/0004.py"), "revision = make()\n");
    commit(&dir, "Only a program knows");
    let found = compare(&bench, None, None, &["0002"]).await.unwrap().migrations;
    assert_eq!(found.unknown.unwrap(), "alembic/versions/0004.py is not understood: `revision` is no plain text");
    git(&dir, &["rm", "--quiet", "alembic.ini"]);
    commit(&dir, "Nothing");
    let found = compare(&bench, None, None, &["0002"]).await.unwrap().migrations;
    assert_eq!(found.unknown.unwrap(), "the revision has no alembic.ini");
}

#[tokio::test]
async fn of_djangos_migrations_the_new_ones_are_told() {
    let mut bench = Bench::new();
    let mut database = crate::config::testing::settings().database.unwrap();
    database.migrations =
        crate::config::Migrations::Django { manage: "manage.py".into(), before: Vec::new(), after: Vec::new() };
    bench.settings.database = Some(database);
    let dir = repository(&bench);
    write(&dir.join("shop/migrations/0001_initial.py"), "");
    let first = commit(&dir, "One");
    write(&dir.join("shop/migrations/0002_price.py"), "");
    write(&dir.join("shop/migrations/__init__.py"), "");
    commit(&dir, "Two");
    let found = compare(&bench, None, Some(&first), &[]).await.unwrap().migrations;
    assert_eq!((names(&found.added), found.unknown.is_some()), (vec!["shop.0002_price"], true));
}
