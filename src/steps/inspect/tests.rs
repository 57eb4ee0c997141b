use super::*;
use crate::steps::testing::{Bench, write};
use crate::steps::tool::testing::{migration, release};

const NOWHERE: &str = "postgresql://nobody@/nowhere?host=/nonexistent";

fn revisions(names: &[&str]) -> Vec<SchemaRevision> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

async fn inspect(bench: &Bench, current: &[&str]) -> Result<Inspected, Cause> {
    match run(&bench.job(7, Work::Inspect { current: revisions(current), proven: false })).await? {
        Output::Inspected(inspected) => Ok(inspected),
        other => panic!("{other:?}"),
    }
}

fn names(inspected: &Inspected) -> Vec<(&str, bool)> {
    inspected.pending.iter().map(|pending| (pending.revision.as_str(), pending.nontransactional)).collect()
}

#[tokio::test]
async fn without_a_database_only_code_changes() {
    let inspected = inspect(&Bench::new(), &[]).await.unwrap();
    assert_eq!((inspected.lane, inspected.pending), (Lane::Code, vec![]));
}

#[tokio::test]
async fn pending_migrations_are_found_without_a_database() {
    let (mut bench, release) = release("erp", NOWHERE);
    let inspected = inspect(&bench, &["a1"]).await.unwrap();
    assert_eq!(names(&inspected), [("b2", false), ("c3", false)]);
    assert_eq!((inspected.lane, inspected.target.clone()), (Lane::Fenced, revisions(&["c3"])));
    assert_eq!(inspected.pending[0].title, "makes b2");
    assert_eq!(names(&inspect(&bench, &[]).await.unwrap()).len(), 3);
    let current = inspect(&bench, &["c3"]).await.unwrap();
    assert_eq!((current.lane, current.target), (Lane::Code, revisions(&["c3"])));

    migration(&release, "c3", "'b2'", "op.get_context().autocommit_block()");
    assert_eq!(names(&inspect(&bench, &["a1"]).await.unwrap()), [("b2", false), ("c3", true)]);
    let env = std::fs::read_to_string(release.join("migrations/env.py")).unwrap();
    write(
        &release.join("migrations/env.py"),
        &env.replace("create_engine(", "create_engine(isolation_level='AUTOCOMMIT', url="),
    );
    assert_eq!(names(&inspect(&bench, &["a1"]).await.unwrap()), [("b2", true), ("c3", true)]);

    bench.settings.database.as_mut().unwrap().lane = MigrationLane::Stop;
    assert_eq!(inspect(&bench, &["a1"]).await.unwrap().lane, Lane::Stop);
}

#[tokio::test]
async fn a_database_that_is_ahead_is_not_touched() {
    let (bench, _) = release("erp", NOWHERE);
    let cause = inspect(&bench, &["z9"]).await.unwrap_err();
    assert!(cause.what.starts_with("database erp is at revision z9, which this release does not know"), "{cause:?}");
    assert!(cause.hint.unwrap().contains("python -m alembic -c alembic.ini downgrade c3"));

    // One that was proven to live on it need not know it.
    let work = Work::Inspect { current: revisions(&["z9"]), proven: true };
    let Ok(Output::Inspected(ahead)) = run(&bench.job(7, work)).await else { panic!() };
    assert!(ahead.ahead && ahead.pending.is_empty(), "{ahead:?}");
    assert_eq!((ahead.lane, ahead.target), (Lane::Code, revisions(&["z9"])));
    let work = Work::Inspect { current: revisions(&["a1"]), proven: true };
    let Ok(Output::Inspected(known)) = run(&bench.job(7, work)).await else { panic!() };
    assert!(!known.ahead && known.pending.len() == 2, "what it knows it says itself: {known:?}");
}

#[tokio::test]
async fn every_script_is_told_with_a_digest_of_its_text() {
    let (bench, release) = release("erp", NOWHERE);
    let seen = inspect(&bench, &["a1"]).await.unwrap().scripts;
    let names: Vec<_> = seen.iter().map(|script| (script.revision.as_str(), script.file.as_str())).collect();
    assert_eq!(names[0], ("a1", "migrations/versions/a1.py"));
    assert_eq!(names.len(), 3);
    let file = release.join("migrations/versions/a1.py");
    let text = std::fs::read_to_string(&file).unwrap();
    write(&file, &text.replace('\n', "\r\n"));
    assert_eq!(inspect(&bench, &["a1"]).await.unwrap().scripts, seen, "line ends are nothing");
    write(&file, &(text + "    op.execute('select 1')\n"));
    let changed = inspect(&bench, &["a1"]).await.unwrap().scripts;
    assert!(changed[0].sha256 != seen[0].sha256 && changed[1..] == seen[1..]);
}

#[tokio::test]
async fn two_heads_are_refused_with_the_command_that_joins_them() {
    let (bench, release) = release("erp", NOWHERE);
    migration(&release, "d4", "'b2'", "pass");
    let cause = inspect(&bench, &["a1"]).await.unwrap_err();
    assert_eq!(cause.what, "the migrations have 2 heads: c3, d4");
    assert!(cause.hint.unwrap().contains("alembic -c alembic.ini merge -m \"merge heads\" c3 d4"));
}

#[tokio::test]
async fn migrations_that_cannot_be_read_are_refused() {
    let (bench, release) = release("erp", NOWHERE);
    let refused = async || inspect(&bench, &["a1"]).await.unwrap_err().what;
    migration(&release, "d4", "'gone'", "pass");
    let what = refused().await;
    assert!(what.contains("gone") && what.contains("cannot read the migrations"), "{what}");
    write(&release.join("migrations/versions/d4.py"), "this is no python\n");
    assert!(refused().await.contains("SyntaxError"));
    std::fs::copy(release.join("migrations/versions/c3.py"), release.join("migrations/versions/d4.py")).unwrap();
    assert!(refused().await.contains("c3 is present more than once"));
    std::fs::remove_dir_all(release.join("migrations")).unwrap();
    assert!(refused().await.contains("migrations"));
}

#[tokio::test]
async fn django_and_other_tools_tell_what_is_pending() {
    let (mut bench, release) = release("erp", NOWHERE);
    let django = Migrations::Django { manage: "manage.py".into(), before: vec![], after: vec![] };
    bench.settings.database.as_mut().unwrap().migrations = django;
    write(
        &release.join("manage.py"),
        "import sys\nif sys.argv[1] == 'showmigrations':\n    print('[X]  shop.0001_initial\\n[ ]  shop.0002_price')\n",
    );
    let inspected = inspect(&bench, &[]).await.unwrap();
    assert_eq!((names(&inspected), inspected.lane), (vec![("shop.0002_price", false)], Lane::Fenced));
    write(
        &release.join("manage.py"),
        "import sys\nif sys.argv[1] == 'migrate':\n    sys.exit('CommandError: Conflicting migrations')\nprint('[ ]  a.b')\n",
    );
    let cause = inspect(&bench, &[]).await.unwrap_err();
    assert_eq!(cause.tail, ["CommandError: Conflicting migrations"]);

    let sh =
        |script: &str| Migrations::Commands { pending: vec!["sh".into(), "-c".into(), script.into()], run: vec![] };
    for (script, expected) in [
        ("echo '0002_price adds a price'; echo '& odd'; exit 1", Some(vec!["0002_price", "pending-2"])),
        ("exit 1", Some(vec!["something"])),
        ("echo nothing to do", Some(vec![])),
        ("exit 2", None),
    ] {
        bench.settings.database.as_mut().unwrap().migrations = sh(script);
        let found = inspect(&bench, &[]).await.ok();
        let found =
            found.as_ref().map(|found| found.pending.iter().map(|one| one.revision.as_str()).collect::<Vec<_>>());
        assert_eq!(found, expected, "{script}");
    }
}
