use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::database::testing::{Scratch, programs};
use crate::steps::testing::{Bench, write};
use crate::steps::tool::testing::database;

fn bench(db: &str) -> (Bench, PathBuf) {
    let mut bench = Bench::new();
    bench.settings.database = Some(database(db));
    let home = bench.at(&paths::backups(bench.app()));
    fs::create_dir_all(&home).unwrap();
    (bench, home)
}

fn folders(home: &Path) -> Vec<String> {
    fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn hex(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_backup_can_be_restored_and_says_what_it_is() {
    let scratch = Scratch::new("dump").await;
    scratch.app("insert into item (name) select 'item ' || i from generate_series(1, 50000) i").await;
    scratch.app("create table alembic_version (version_num text); insert into alembic_version values ('a1')").await;
    let (bench, home) = bench("dump");
    write(&home.join("3-20260101T000000Z.part/db.dump.zst"), "half");
    let job = bench.job(7, Work::Backup { running: Some(ReleaseId(6)) });
    let Output::BackedUp { name, bytes, sha256 } = back_up(&job, &scratch.cluster).await.unwrap() else { panic!() };

    assert_eq!(folders(&home), std::slice::from_ref(&name));
    let folder = home.join(&name);
    let file = fs::read(folder.join(DUMP)).unwrap();
    assert_eq!((file.len() as u64, hex(&file)), (bytes, sha256.clone()));
    for path in [DUMP, MANIFEST] {
        assert_eq!(folder.join(path).metadata().unwrap().permissions().mode() & 0o7777, 0o640, "{path}");
    }
    let manifest: Manifest = serde_json::from_slice(&fs::read(folder.join(MANIFEST)).unwrap()).unwrap();
    assert_eq!((manifest.deployment, manifest.running), (job.request.deployment, Some(ReleaseId(6))));
    assert_eq!((manifest.bytes, manifest.sha256, manifest.level), (bytes, sha256, Level::Written));
    assert_eq!(manifest.schema, ["a1".parse().unwrap()]);
    assert!(manifest.pg_dump.starts_with("pg_dump (PostgreSQL)") && manifest.raw_bytes > bytes, "{}", manifest.pg_dump);

    fs::write(bench.root().join("dump"), zstd::decode_all(&file[..]).unwrap()).unwrap();
    scratch.root("create database dump_restored owner dump_app").await;
    let status = Command::new(programs().join("pg_restore"))
        .args(["--exit-on-error", "-d", "dump_restored", "-U", "postgres", "-h"])
        .args([scratch.server.socket_dir(), &bench.root().join("dump")])
        .status()
        .unwrap();
    assert!(status.success());
    let count = scratch.server.rows("dump_app", "dump_restored", "select count(*)::text from item").await;
    assert_eq!(count, [Some("50000".to_owned())]);
}

#[tokio::test]
async fn what_the_role_may_not_read_fails_the_backup() {
    let scratch = Scratch::new("dump'd odd=name").await;
    let (bench, home) = bench(&scratch.name);
    let job = bench.job(7, Work::Backup { running: None });
    back_up(&job, &scratch.cluster).await.unwrap();
    fs::remove_dir_all(home.join(&folders(&home)[0])).unwrap();

    scratch.server.rows("postgres", &scratch.name, "create table secret (id int)").await;
    let cause = back_up(&job, &scratch.cluster).await.unwrap_err();
    assert!(cause.what.contains("permission denied for table secret"), "{cause:?}");
    assert_eq!(folders(&home), Vec::<String>::new());
    let missing = bench_without_database().await;
    assert!(missing.what.contains("database nowhere does not exist"), "{missing:?}");
}

async fn bench_without_database() -> Cause {
    let (bench, _home) = bench("nowhere");
    let cluster = crate::database::testing::Server::shared().cluster(crate::database::AGENT);
    back_up(&bench.job(7, Work::Backup { running: None }), &cluster).await.unwrap_err()
}

#[test]
fn every_member_of_the_chain_is_looked_at() {
    let (bench, _home) = bench("erp");
    let file = || File::create(bench.root().join("out")).unwrap();
    let fails = |script: &str, out: File| {
        let program = bench.root().join("program");
        write(&program, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        match dump(&program, &[], out, "erp") {
            Ok(_) => panic!("{script}"),
            Err(cause) => cause.what,
        }
    };
    assert!(
        fails("printf PGDMP; head -c 100000 /dev/zero; echo 'pg_dump: error: lost' >&2; exit 3", file())
            .ends_with("(exit status: 3): lost")
    );
    assert!(fails("printf PGDMP; kill -9 $$", file()).contains("signal: 9"));
    assert!(fails("echo hello", file()).ends_with("is not an archive"));
    assert!(fails("true", file()).ends_with("is not an archive"));
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert!(fails("printf PGDMP; cat /dev/urandom", full).contains("No space left"), "a full disk ends pg_dump too");
    assert!(pg_dump(30_000).unwrap_err().hint.unwrap().contains("postgresql-client-3"));
}
