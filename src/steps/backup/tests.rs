use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::*;
use crate::database::testing::Scratch;
use crate::model::names::DeploymentId;
use crate::steps::testing::{Bench, write};
use crate::steps::tool::testing::database;

pub(in crate::steps) fn bench(db: &str) -> (Bench, PathBuf) {
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

/// A backup of the database of `scratch`.
pub(in crate::steps) async fn taken(bench: &Bench, scratch: &Scratch, deployment: u32) -> Result<Manifest, Cause> {
    let job = bench.job(deployment, Work::Backup { running: Some(ReleaseId(6)), revision: None, quarantine: None });
    let Output::BackedUp { name, .. } = back_up(&job, &scratch.cluster, Some(ReleaseId(6)), None).await? else {
        panic!()
    };
    let home = bench.at(&paths::backups(bench.app()));
    Ok(serde_json::from_slice(&fs::read(home.join(name).join(MANIFEST)).unwrap()).unwrap())
}

#[tokio::test]
async fn a_backup_says_what_it_is() {
    let scratch = Scratch::new("dump").await;
    scratch.app("insert into item (name) select 'item ' || i from generate_series(1, 50000) i").await;
    scratch.app("create table alembic_version (version_num text); insert into alembic_version values ('a1')").await;
    scratch
        .app("create table big (t text); insert into big select repeat(i::text, 100) from generate_series(1, 5000) i")
        .await;
    let (mut bench, home) = bench("dump");
    bench.settings.backup.hash_limit = 1_000_000_000;
    write(&home.join("3-20260101T000000Z.part/db.dump.zst"), "half");
    let manifest = taken(&bench, &scratch, 7).await.unwrap();

    let name = manifest.name.to_string();
    assert_eq!(folders(&home), std::slice::from_ref(&name));
    assert!(name.starts_with("7-"), "{name}");
    let folder = home.join(&name);
    for (path, file) in [(DUMP, &manifest.dump), (GLOBALS, &manifest.globals)] {
        let text = fs::read(folder.join(path)).unwrap();
        assert_eq!((text.len() as u64, hex(&text)), (file.bytes, file.sha256.clone()), "{path}");
    }
    for path in [DUMP, GLOBALS, MANIFEST] {
        assert_eq!(folder.join(path).metadata().unwrap().permissions().mode() & 0o7777, 0o640, "{path}");
    }
    assert_eq!((manifest.deployment, manifest.running), (Some(DeploymentId(7)), Some(ReleaseId(6))));
    assert_eq!((manifest.level, manifest.locale.encoding.as_str()), (Level::Written, "UTF8"));
    assert_eq!(manifest.schema, ["a1".parse().unwrap()]);
    assert!(manifest.pg_dump.starts_with("pg_dump (PostgreSQL)") && manifest.raw_bytes > manifest.dump.bytes);
    let tables: Vec<_> = manifest.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
    assert_eq!(tables, [("alembic_version", 1), ("big", 5000), ("item", 50000)]);
    assert!(manifest.tables.iter().all(|table| table.hash.is_some()), "{:?}", manifest.tables);
    assert_eq!(manifest.sequences.len(), 1);
    assert_eq!((manifest.sequences[0].value, manifest.sequences[0].called), (50000, true));
    assert!(manifest.extensions.contains_key("plpgsql") && !manifest.snapshot.is_empty() && !manifest.lsn.is_empty());

    // Where no deployment asks, the name is a moment; large tables are only counted.
    bench.settings.backup.hash_limit = 100_000;
    let manifest = taken(&bench, &scratch, 0).await.unwrap();
    assert!(manifest.name.as_str().starts_with("20") && manifest.deployment.is_none());
    let counted: Vec<_> =
        manifest.tables.iter().filter(|table| table.hash.is_none()).map(|table| &table.name).collect();
    assert_eq!(counted, ["big", "item"]);
}

#[tokio::test]
async fn no_password_is_written_down() {
    let scratch = Scratch::new("secret").await;
    scratch.root("alter role secret_app password 'hunter2'").await;
    scratch.root("alter database secret set app.tenant = 'a''b'; alter role secret_app in database secret set work_mem = '7MB'").await;
    let (bench, home) = bench("secret");
    let manifest = taken(&bench, &scratch, 0).await.unwrap();
    let folder = home.join(manifest.name.as_str());
    let globals = fs::read_to_string(folder.join(GLOBALS)).unwrap();
    for line in [
        "CREATE ROLE secret_app;",
        "create database \"secret\" template template0 encoding 'UTF8'",
        "alter database \"secret\" owner to \"secret_app\";",
        "alter database \"secret\" set \"app\".\"tenant\" to 'a''b';",
        "alter role \"secret_app\" in database \"secret\" set \"work_mem\" to '7MB';",
    ] {
        assert!(globals.contains(line), "{line}\n{globals}");
    }
    for text in [globals, fs::read_to_string(folder.join(MANIFEST)).unwrap()] {
        assert!(!text.contains("hunter2") && !text.contains("SCRAM") && !text.contains("PASSWORD '"), "{text}");
    }
}

#[tokio::test]
async fn only_what_says_its_own_name_is_deleted() {
    let (bench, home) = bench("erp");
    let names: Vec<BackupName> = ["20260101T000000Z", "7-20260102T000000Z", "20260103T000000Z", "20260104T000000Z"]
        .map(|name| name.parse().unwrap())
        .into();
    let manifest = |name: &BackupName| serde_json::to_string(&model::testing::manifest(name.as_str())).unwrap();
    for name in &names {
        write(&home.join(name.as_str()).join(MANIFEST), &manifest(name));
    }
    write(&home.join(names[2].as_str()).join(MANIFEST), &manifest(&names[0]));
    write(&home.join("20250101T000000Z.part/db.dump.zst"), "half deleted");
    let job = bench.job(0, Work::Forget { backups: names[..3].to_vec() });
    assert_eq!(run(&job).await.unwrap(), Output::Forgotten { backups: names[..2].to_vec() });
    let mut left = folders(&home);
    left.sort();
    assert_eq!(left, [names[2].as_str(), names[3].as_str()]);
}

#[tokio::test]
async fn what_the_role_may_not_read_fails_the_backup() {
    let scratch = Scratch::new("dump'd odd=name").await;
    let (bench, home) = bench(&scratch.name);
    taken(&bench, &scratch, 7).await.unwrap();
    fs::remove_dir_all(home.join(&folders(&home)[0])).unwrap();

    scratch.server.rows("postgres", &scratch.name, "create table secret (id int)").await;
    let cause = taken(&bench, &scratch, 7).await.unwrap_err();
    assert!(cause.what.contains("permission denied for table secret"), "{cause:?}");
    assert_eq!(folders(&home), Vec::<String>::new());
    let missing = bench_without_database().await;
    assert!(missing.what.contains("database nowhere does not exist"), "{missing:?}");
}

async fn bench_without_database() -> Cause {
    let (bench, _home) = bench("nowhere");
    let cluster = crate::database::testing::Server::shared().cluster(crate::database::AGENT);
    let job = bench.job(7, Work::Backup { running: None, revision: None, quarantine: None });
    back_up(&job, &cluster, None, None).await.unwrap_err()
}

#[test]
fn every_member_of_the_chain_is_looked_at() {
    let (bench, _home) = bench("erp");
    let file = || File::create(bench.root().join("out")).unwrap();
    let fails = |script: &str, out: File| {
        let program = bench.root().join("program");
        write(&program, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        match dump::dump(&program, &[], out, &Seal::default(), "erp", 1) {
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
    assert!(program(30_000, "pg_dump").unwrap_err().hint.unwrap().contains("postgresql-client-3"));
}

#[test]
fn memberships_are_granted_by_whoever_restores() {
    let said = "CREATE ROLE erp;\nGRANT pg_signal_backend TO \"tsh-agent\" WITH INHERIT TRUE GRANTED BY postgres;\n\
                GRANT erp TO \"x GRANTED BY y\" GRANTED BY \"the \"\"one\"\"\";\nGRANT erp TO \"a GRANTED BY b\";\n";
    assert_eq!(
        by_anybody(said),
        "CREATE ROLE erp;\nGRANT pg_signal_backend TO \"tsh-agent\" WITH INHERIT TRUE;\n\
         GRANT erp TO \"x GRANTED BY y\";\nGRANT erp TO \"a GRANTED BY b\";\n"
    );
}
