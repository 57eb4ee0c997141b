use std::time::{Duration, Instant};

use super::*;
use crate::database::MIGRATOR;
use crate::database::testing::{Scratch, Server};
use crate::model::journal::{Inspected, Pending};
use crate::model::lane::Lane;
use crate::model::rollback::{self, Facts, Move};
use crate::steps::testing::{Bench, write};
use crate::steps::tool::testing::{migration, release};

async fn migrate(bench: &Bench, target: &str) -> Outcome {
    migrate_to(bench, target, false).await
}

async fn migrate_to(bench: &Bench, target: &str, online: bool) -> Outcome {
    let work = Work::Migrate { target: vec![target.parse().unwrap()], online };
    super::migrate(&bench.job(7, work), &Server::shared().cluster(MIGRATOR)).await
}

/// A database and a release that migrates it as the migration's role.
async fn prepared(name: &str) -> (Scratch, Bench, std::path::PathBuf) {
    let scratch = Scratch::new(name).await;
    let url = format!("postgresql+psycopg2://{MIGRATOR}@/{name}?host={}", scratch.server.socket_dir().display());
    let (bench, release) = release(name, &url);
    (scratch, bench, release)
}

async fn print(scratch: &Scratch) -> String {
    scratch.cluster.fingerprint(&scratch.name, Some("alembic_version")).await.unwrap()
}

#[tokio::test]
async fn it_ends_at_exactly_the_revision_that_was_inspected() {
    let (scratch, mut bench, _) = prepared("exact").await;
    let noted = |word: &str| {
        vec![vec!["sh".to_owned(), "-c".to_owned(), format!("echo {word} >> {}/noted", bench.root().display())]]
    };
    let (first, last) = (noted("before"), noted("after"));
    if let Migrations::Alembic { before, after, .. } = &mut bench.settings.database.as_mut().unwrap().migrations {
        (*before, *after) = (first, last);
    }
    let done = migrate(&bench, "b2").await.unwrap();
    assert_eq!(done, Output::Migrated { heads: vec!["b2".parse().unwrap()] });
    assert_eq!(scratch.cluster.schema_revisions("exact", "alembic_version").await.unwrap(), ["b2".parse().unwrap()]);
    let owner = scratch.app("select tableowner from pg_tables where tablename = 'shop'").await;
    assert_eq!(owner, [Some("exact_app".to_owned())]);
    assert_eq!(std::fs::read_to_string(bench.root().join("noted")).unwrap(), "before\nafter\n");
    migrate(&bench, "b2").await.unwrap();
}

#[tokio::test]
async fn a_failure_says_what_postgresql_said_and_leaves_nothing() {
    let (scratch, bench, release) = prepared("refusal").await;
    migrate(&bench, "a1").await.unwrap();
    let before = print(&scratch).await;
    migration(&release, "c3", "'b2'", "op.execute('alter table shop add column name text')");
    let cause = migrate(&bench, "c3").await.unwrap_err();
    let said = "failed: column \"name\" of relation \"shop\" already exists; in: alter table shop add column name text";
    assert!(cause.what.ends_with(said), "{cause:?}");
    assert!(cause.hint.is_some() && !cause.tail.is_empty());
    assert_eq!(print(&scratch).await, before);

    scratch.server.rows("postgres", "refusal", "create table foreign_one (id int)").await;
    migration(&release, "c3", "'b2'", "op.execute('alter table foreign_one add column name text')");
    let cause = migrate(&bench, "c3").await.unwrap_err();
    assert!(cause.hint.unwrap().contains("give it to refusal_app"));
}

/// The case in which the version alone would lie.
#[tokio::test]
async fn half_a_migration_is_detected_and_goes_back_to_the_twin() {
    let (scratch, bench, release) = prepared("halves").await;
    migrate(&bench, "a1").await.unwrap();
    let before = print(&scratch).await;
    let body = "op.execute('alter table shop add column half int')\n    with op.get_context().autocommit_block():\n        \
                op.execute('select 1')\n    op.execute('select 1/0')";
    migration(&release, "b2", "'a1'", body);
    let cause = migrate(&bench, "b2").await.unwrap_err();
    assert!(cause.what.contains("division by zero"), "{cause:?}");
    let now = print(&scratch).await;
    let revisions = scratch.cluster.schema_revisions("halves", "alembic_version").await.unwrap();
    assert_eq!(revisions, ["a1".parse().unwrap()]);
    assert_ne!(now, before);
    let pending = Pending { revision: "b2".parse().unwrap(), title: String::new(), nontransactional: true };
    let inspected = Inspected { pending: vec![pending], fingerprint: Some(before), ..Inspected::nothing(Lane::Fenced) };
    let facts = Facts { lane: Lane::Fenced, migrated: true, now: Some(&now), arrived: false, transactional: true };
    assert_eq!(rollback::decide(&inspected, &facts), Move::SwapBack);
}

#[tokio::test]
async fn the_time_is_for_all_commands_together() {
    let (mut bench, release) = release("erp", "unused");
    let database = bench.settings.database.as_mut().unwrap();
    database.timeout = std::time::Duration::from_millis(400);
    database.migrations = Migrations::Commands {
        pending: vec![],
        run: vec![vec!["sleep".into(), "0.3".into()], vec!["sleep".into(), "60".into()]],
    };
    let cause = migrate(&bench, "x").await.unwrap_err();
    assert!(cause.what.contains("`sleep 60` was stopped"), "{cause:?}");

    write(&release.join("manage.py"), "import os, sys\nprint(sys.argv[1:], os.environ['PGAPPNAME'])\nsys.exit(4)\n");
    let database = bench.settings.database.as_mut().unwrap();
    database.timeout = std::time::Duration::from_secs(20);
    database.migrations = Migrations::Django { manage: "manage.py".into(), before: vec![], after: vec![] };
    let cause = migrate(&bench, "x").await.unwrap_err();
    assert_eq!(cause.tail, ["['migrate', '--noinput'] tsh-agent-migrate"]);
}

#[test]
fn the_servers_words_are_found_in_what_drivers_print() {
    for (line, said) in [
        (
            "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.DuplicateColumn) column \"a\" exists",
            Some("column \"a\" exists"),
        ),
        (
            "sqlalchemy.exc.DBAPIError: (sqlalchemy.dialects.postgresql.asyncpg.Error) <class 'asyncpg.exceptions.X'>: no",
            Some("no"),
        ),
        (
            "psycopg2.errors.LockNotAvailable: canceling statement due to lock timeout",
            Some("canceling statement due to lock timeout"),
        ),
        ("django.db.utils.ProgrammingError: relation \"x\" already exists", Some("relation \"x\" already exists")),
        ("psql:m.sql:3: ERROR:  syntax error at or near \"x\"", Some("syntax error at or near \"x\"")),
        ("ModuleNotFoundError: No module named 'x'", None),
        ("psycopg2.errors.X: ", None),
    ] {
        assert_eq!(server_line(line).as_deref(), said, "{line}");
    }
}

/// Somebody leaves a transaction open that has read the table. The migration gives up and tries again, so that nobody
/// who comes behind it waits long.
#[tokio::test]
async fn while_the_old_release_serves_it_is_the_migration_that_gives_way() {
    let (scratch, bench, release) = prepared("patient").await;
    migrate(&bench, "a1").await.unwrap();
    let body = "op.execute('select pg_sleep(0.7)')\n    op.execute('alter table shop add column name text')";
    migration(&release, "b2", "'a1'", body);
    let sleeping = "select 1 from pg_stat_activity where datname = 'patient' and query like '%pg_sleep%' and state = 'active' \
                    and pid <> pg_backend_pid()";
    let idle = async {
        while scratch.root(sleeping).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        scratch.app("begin; select count(*) from shop; select pg_sleep(3); commit").await;
    };
    let readers = async {
        let (began, mut worst) = (Instant::now(), Duration::ZERO);
        while began.elapsed() < Duration::from_secs(5) {
            let one = Instant::now();
            scratch.app("select count(*) from shop").await;
            worst = worst.max(one.elapsed());
        }
        worst
    };
    let began = Instant::now();
    let (migrated, worst, ()) = tokio::join!(migrate_to(&bench, "b2", true), readers, idle);
    assert_eq!(migrated.unwrap(), Output::Migrated { heads: vec!["b2".parse().unwrap()] });
    assert!(began.elapsed() > Duration::from_secs(3), "nobody was in the way");
    assert!(worst > Duration::from_millis(300), "no reader came behind the migration: {worst:?}");
    assert!(worst < Duration::from_millis(1500), "a reader waited {worst:?}");
}

#[tokio::test]
async fn an_index_that_was_never_finished_is_no_success() {
    let (scratch, bench, release) = prepared("unfinished").await;
    migrate(&bench, "a1").await.unwrap();
    scratch.app("insert into shop values (1), (1)").await;
    let body = "from sqlalchemy.exc import IntegrityError\n    with op.get_context().autocommit_block():\n        try:\n            \
                op.execute('create unique index concurrently shop_id on shop (id)')\n        except IntegrityError:\n            pass";
    migration(&release, "b2", "'a1'", body);
    let cause = migrate(&bench, "b2").await.unwrap_err();
    assert!(cause.what.contains("left an index that does not work: public.shop_id"), "{cause:?}");
}
