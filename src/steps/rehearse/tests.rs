//! A real backup of a real database, real migrations of Alembic, and releases that are small programs.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::{Http, Probe};
use crate::database::testing;
use crate::paths;
use crate::steps::backup::tests::taken;
use crate::steps::prove::tests::wrap;
use crate::steps::testing::{Bench, any_sha, write};
use crate::steps::tool::testing::{migration, release};

/// A machine with a database at a1, whose release 7 wants c3 and whose release 6 is live.
async fn stage(name: &str) -> (testing::Scratch, Bench) {
    let scratch = testing::Scratch::new(name).await;
    let (mut bench, new) = release(name, "");
    let env = "import os\nfrom alembic import context\nfrom sqlalchemy import create_engine\n\
               with create_engine(os.environ['DATABASE_URL']).connect() as connection:\n    \
               context.configure(connection=connection)\n    with context.begin_transaction():\n        context.run_migrations()\n";
    write(&new.join("migrations/env.py"), env);
    scratch
        .app("create table shop (id int); create table alembic_version (version_num text); insert into alembic_version values ('a1')")
        .await;
    let old = bench.release(6);
    std::fs::create_dir_all(old.join(".venv/bin")).unwrap();
    symlink("/usr/bin/python3", old.join(".venv/bin/python")).unwrap();
    smoke(&old, "select id from shop");
    smoke(&new, "select price from shop");
    std::fs::create_dir_all(bench.at(&paths::backups(bench.app()))).unwrap();

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let configured = &mut bench.settings.rehearsal;
    configured.smoke = Some(["python", "smoke.py"].map(str::to_owned).into());
    configured.serve = Some(["python", "serve.py", &port.to_string()].map(str::to_owned).into());
    bench.settings.probe.deadline = Duration::from_secs(20);
    bench.settings.probe.probes = vec![Probe::Http(Box::new(Http {
        url: format!("http://127.0.0.1:{port}/"),
        host: None,
        status: 200,
        body: None,
        json: [].into(),
        headers: [].into(),
        revision: None,
        schema: Some("/schema".into()),
        timeout: Duration::from_secs(2),
    }))];
    (scratch, bench)
}

/// A release that runs this statement to see whether it lives, and answers with the schema it sees.
fn smoke(release: &Path, sql: &str) {
    let connect = "import os, psycopg2\nlink = psycopg2.connect(os.environ['DATABASE_URL'])\nread = link.cursor()\n";
    write(&release.join("smoke.py"), &format!("{connect}read.execute({sql:?})\n"));
    let serve = "import json, sys\nfrom http.server import BaseHTTPRequestHandler, HTTPServer\nclass Answer(BaseHTTPRequestHandler):\n    \
                 def do_GET(self):\n        read.execute('select version_num from alembic_version')\n        \
                 body = json.dumps({'schema': read.fetchone()[0]}).encode()\n        self.send_response(200)\n        \
                 self.send_header('Content-Length', str(len(body)))\n        self.end_headers()\n        self.wfile.write(body)\n\
                 HTTPServer.allow_reuse_address = True\nHTTPServer(('127.0.0.1', int(sys.argv[1])), Answer).serve_forever()\n";
    write(&release.join("serve.py"), &format!("{connect}{serve}"));
}

/// Backs up and rehearses.
async fn rehearsed(scratch: &testing::Scratch, bench: &Bench) -> Result<Rehearsal, Cause> {
    let backup = taken(bench, scratch, 7).await.unwrap().name;
    let old = Some(Old { release: ReleaseId(6), revision: Some(any_sha()) });
    let work = Work::Rehearse { backup, target: vec!["c3".parse().unwrap()], revision: any_sha(), old };
    let outcome = rehearse(&bench.job(7, work), &wrap(bench)).await;
    let room = bench.at(&paths::rehearsals(bench.app())).join("scratch");
    assert_eq!(std::fs::read_dir(room).unwrap().count(), 0, "a copy of production's rows was left behind");
    match outcome? {
        Output::Rehearsed(rehearsal) => Ok(*rehearsal),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_releases_are_tried_on_a_copy_and_production_feels_nothing() {
    let (scratch, bench) = stage("rehearsal").await;
    scratch.app("insert into shop select i from generate_series(1, 1000) i").await;
    let live = scratch.cluster.fingerprint("rehearsal", Some("alembic_version")).await.unwrap();
    let found = rehearsed(&scratch, &bench).await.unwrap();
    assert!(found.new.is_proven() && found.old.as_ref().unwrap().is_proven(), "{found:?}");
    assert_eq!((found.rows, found.migration.transactions), (1001, 1), "{found:?}");
    assert_eq!(found.before, live, "the copy is what it is a copy of");
    assert_ne!(found.after, live);
    assert!(found.migration.rewritten.is_empty() && found.migration.invalid.is_empty(), "{found:?}");
    assert_eq!(scratch.cluster.fingerprint("rehearsal", Some("alembic_version")).await.unwrap(), live);
    let name = found.backup.to_string();
    let proof = std::fs::read_to_string(bench.at(&paths::proofs(bench.app())).join(format!("{name}.json"))).unwrap();
    assert!(proof.contains("\"matched\""), "the backup is proven on the way: {proof}");

    // What a migration makes belongs to the application, as on production; and what is live is made the same way.
    migration(&bench.release(7), "b2", "'a1'", "op.execute('create table fresh (id int)')");
    migration(&bench.release(7), "c3", "'b2'", "op.execute('alter table shop add column price int')");
    smoke(&bench.release(6), "insert into fresh values (1)");
    assert!(rehearsed(&scratch, &bench).await.unwrap().old.unwrap().is_proven());
}

#[tokio::test]
async fn an_old_release_that_does_not_live_on_it_is_told_and_is_no_failure() {
    let (scratch, bench) = stage("breaking").await;
    migration(&bench.release(7), "c3", "'b2'", "op.execute('alter table shop rename id to price')");
    // It migrates when it starts, to what it knows.
    write(&bench.release(6).join("serve.py"), "raise SystemExit(\"Can't locate revision identified by 'c3'\")\n");
    let found = rehearsed(&scratch, &bench).await.unwrap();
    let old = found.old.unwrap();
    assert!(matches!(&old.smoke, Some(Answer::Failed(why)) if why.contains("smoke.py")), "{old:?}");
    assert!(matches!(&old.probe, Some(Answer::Failed(why)) if why.starts_with("it ended: ")), "{old:?}");
}

#[tokio::test]
async fn what_fails_here_never_reaches_production() {
    let (scratch, bench) = stage("failing").await;
    let new = bench.release(7);
    migration(&new, "c3", "'b2'", "op.execute('select 1 / (select count(*) - 0 from shop)')");
    let cause = rehearsed(&scratch, &bench).await.unwrap_err();
    let said = "in the rehearsal, the migration failed: division by zero; in: select 1 / (select count(*)";
    assert!(cause.what.starts_with(said), "{cause:?}");

    migration(&new, "c3", "'b2'", "op.execute('alter table shop add column price int')");
    smoke(&new, "select prize from shop");
    let cause = rehearsed(&scratch, &bench).await.unwrap_err();
    assert!(cause.what.starts_with("in the rehearsal, on the new schema: `python smoke.py` failed"), "{cause:?}");
    assert!(cause.tail.iter().any(|line| line.contains("prize")), "{cause:?}");
}

#[tokio::test]
async fn a_migration_that_swallows_its_own_failure_is_found_out() {
    let (scratch, bench) = stage("swallowing").await;
    scratch.app("insert into shop values (1), (1)").await;
    migration(
        &bench.release(7),
        "c3",
        "'b2'",
        "from sqlalchemy.exc import IntegrityError\n    with op.get_context().autocommit_block():\n        try:\n            \
         op.execute('create unique index concurrently shop_id on shop (id)')\n        except IntegrityError:\n            pass",
    );
    let cause = rehearsed(&scratch, &bench).await.unwrap_err();
    assert!(cause.what.contains("left an index that does not work: public.shop_id"), "{cause:?}");
    assert!(cause.hint.unwrap().contains("drop index concurrently public.shop_id"));
}

#[test]
fn only_the_url_of_this_database_is_replaced() {
    let scheme = |value: &str| scheme_of(OsStr::new(value), "erp");
    assert_eq!(scheme("postgresql+asyncpg://u:secret@h/erp").as_deref(), Some("postgresql+asyncpg"));
    assert_eq!(scheme("postgres:///erp?host=/run/postgresql").as_deref(), Some("postgres"));
    assert_eq!(scheme("postgresql://u@h/other"), None);
    assert_eq!(scheme("redis://h/erp"), None);
    assert_eq!(scheme("erp"), None);
}
