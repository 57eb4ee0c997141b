use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::database::testing;
use crate::steps::backup::tests::{bench, taken};
use crate::steps::testing::{Bench, write};

/// The words with which a cluster can be made by root.
pub(in crate::steps) fn wrap(bench: &Bench) -> Vec<String> {
    let home = bench.at(&paths::rehearsals(bench.app()));
    fs::create_dir_all(&home).unwrap();
    if !nix::unistd::geteuid().is_root() {
        return Vec::new();
    }
    fs::set_permissions(bench.root(), fs::Permissions::from_mode(0o755)).unwrap();
    let script = bench.root().join("as-postgres");
    let room = home.join("scratch");
    let text = format!(
        "chown postgres {}\nexec setpriv --reuid=postgres --regid=postgres --clear-groups -- \"$@\"\n",
        room.display()
    );
    write(&script, &text);
    vec!["sh".to_owned(), script.display().to_string()]
}

async fn proven(bench: &Bench, name: &BackupName) -> Outcome {
    let job = bench.job(0, Work::Prove { backup: name.clone() });
    prove(&job, name, &wrap(bench)).await
}

/// With what systemd hands over.
pub(super) async fn proven_with(bench: &Bench, name: &BackupName, credentials: &Path) -> Outcome {
    let mut job = bench.job(0, Work::Prove { backup: name.clone() });
    job.credentials = Some(credentials.to_owned());
    prove(&job, name, &wrap(bench)).await
}

/// For what is found before a cluster is needed.
pub(super) async fn proven_without_cluster(bench: &Bench, name: &BackupName) -> Outcome {
    fs::create_dir_all(bench.at(&paths::rehearsals(bench.app()))).unwrap();
    run(&bench.job(0, Work::Prove { backup: name.clone() })).await
}

fn proof(bench: &Bench, name: &BackupName) -> Option<Proof> {
    let text = fs::read(proof_path(&bench.at(&paths::proofs(bench.app())), name)).ok()?;
    Some(serde_json::from_slice(&text).unwrap())
}

/// A database with everything that is hard to bring back.
pub async fn furnished(name: &str) -> testing::Scratch {
    let scratch = testing::Scratch::new(name).await;
    for sql in [
        "insert into item (name) select md5(i::text) from generate_series(1, 20000) i",
        "create table \"odd 'name\"\"\" (\"t\" text, f float8, b bytea, j jsonb, w timestamptz, n numeric, a text[])",
        "insert into \"odd 'name\"\"\" select 'x', random() * i, decode(md5(i::text), 'hex'), jsonb_build_object('i', i), now(), i / 3.0, \
         array['a', null, 'b,c'] from generate_series(1, 1000) i",
        "create table part (d date, v int) partition by range (d)",
        "create table part_a partition of part for values from ('2026-01-01') to ('2026-07-01')",
        "insert into part values ('2026-02-02', 1), ('2026-03-03', null)",
        "create schema own; create table own.item (id int references public.item (id)); insert into own.item values (7)",
        "alter table own.item add column gone int; alter table own.item drop column gone; create table empty ()",
        "create materialized view seen as select count(*) from item; create view v as select * from item",
        "create function f() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$; \
         create trigger no before insert on part_a for each row execute function f()",
        "create sequence down increment -1; select nextval('down'), nextval('down')",
    ] {
        scratch.app(sql).await;
    }
    scratch
        .root(&format!(
            "revoke connect on database {name} from public; alter database {name} connection limit 50; \
             comment on database {name} is 'the shop'; alter database {name} set datestyle = 'ISO, DMY'; \
             alter database {name} set search_path = own, public; \
             alter role {name}_app in database {name} set statement_timeout = '1min'"
        ))
        .await;
    scratch
}

#[tokio::test]
async fn what_was_restored_and_matches_is_proven() {
    let scratch = furnished("proof").await;
    let (bench, _home) = bench("proof");
    // Somebody writes all the time.
    let writing = std::sync::atomic::AtomicBool::new(true);
    let writer = async {
        let mut count = 0;
        while writing.load(std::sync::atomic::Ordering::Relaxed) {
            scratch.app("insert into public.item (name) values ('meanwhile'); delete from public.item where id = (select max(id) - 100 from public.item)").await;
            count += 1;
        }
        count
    };
    let take = async {
        let manifest = taken(&bench, &scratch, 0).await;
        writing.store(false, std::sync::atomic::Ordering::Relaxed);
        manifest.unwrap()
    };
    let (writes, manifest) = tokio::join!(writer, take);
    assert!(writes > 3, "only {writes} writes in the meantime");
    let out = proven(&bench, &manifest.name).await.unwrap();
    let Output::Proven { tables, rows, .. } = out else { panic!("{out:?}") };
    assert_eq!((tables, rows), (manifest.tables.len(), manifest.rows()));
    let proof = proof(&bench, &manifest.name).unwrap();
    assert!(proof.level.is_proven() && proof.problem.is_none(), "{proof:?}");
    let levels: Vec<_> = proof.reached.iter().map(|reached| reached.level.word()).collect();
    assert_eq!(levels, ["checksummed", "decodes", "restored", "matched"]);
    let room = bench.at(&paths::rehearsals(bench.app())).join("scratch");
    assert_eq!(fs::read_dir(room).unwrap().count(), 0, "a copy of production's rows was left behind");
}

/// A change to a backup, and what must be said about it at which level.
pub type Damage = (&'static str, fn(&Path), Option<Level>, &'static str);

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

fn half(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() * 6 / 10);
}

fn flip(bytes: &mut [u8]) {
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
}

/// Makes the manifest say what the damaged dump is, as somebody would whose disk lied while it was written.
fn believe(folder: &Path) {
    let text = fs::read(folder.join(DUMP)).unwrap();
    change(&folder.join(MANIFEST), |manifest| {
        let mut value: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        value["dump"]["bytes"] = text.len().into();
        value["dump"]["sha256"] = files::hex(&Sha256::digest(&text)).into();
        *manifest = serde_json::to_vec(&value).unwrap();
    });
}

/// Changes the archive inside, and compresses it again without a mistake.
fn inside(folder: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let dump = folder.join(DUMP);
    let mut raw = zstd::decode_all(File::open(&dump).unwrap()).unwrap();
    edit(&mut raw);
    fs::write(&dump, zstd::encode_all(&raw[..], 3).unwrap()).unwrap();
    believe(folder);
    change(&folder.join(MANIFEST), |manifest| {
        let mut value: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        value["raw_bytes"] = raw.len().into();
        *manifest = serde_json::to_vec(&value).unwrap();
    });
}

fn edit(folder: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    change(&folder.join(MANIFEST), |manifest| {
        let mut value: serde_json::Value = serde_json::from_slice(manifest).unwrap();
        edit(&mut value);
        *manifest = serde_json::to_vec(&value).unwrap();
    });
}

/// Every kind of damage.
pub fn damages() -> &'static [Damage] {
    use Level::*;
    &[
        ("truncated", |folder| change(&folder.join(DUMP), half), Some(Written), "bytes in place of"),
        ("one bit flipped", |folder| change(&folder.join(DUMP), |bytes| flip(bytes)), Some(Written), "SHA-256"),
        ("zero bytes", |folder| change(&folder.join(DUMP), Vec::clear), Some(Written), "has 0 bytes"),
        ("no dump", |folder| fs::remove_file(folder.join(DUMP)).unwrap(), Some(Written), "No such file"),
        ("no globals", |folder| fs::remove_file(folder.join(GLOBALS)).unwrap(), Some(Written), "No such file"),
        ("globals changed", |folder| change(&folder.join(GLOBALS), |bytes| flip(bytes)), Some(Written), "SHA-256"),
        ("no manifest", |folder| fs::remove_file(folder.join(MANIFEST)).unwrap(), None, "No such file"),
        ("manifest cut off", |folder| change(&folder.join(MANIFEST), half), None, "EOF"),
        (
            "another's manifest",
            |folder| edit(folder, |text| text["name"] = "20200101T000000Z".into()),
            None,
            "manifest of",
        ),
        (
            "truncated before it was hashed",
            |folder| {
                change(&folder.join(DUMP), half);
                believe(folder);
            },
            Some(Checksummed),
            "cannot be decompressed",
        ),
        (
            "one bit flipped before it was hashed",
            |folder| {
                change(&folder.join(DUMP), |bytes| flip(bytes));
                believe(folder);
            },
            Some(Checksummed),
            "cannot be decompressed",
        ),
        ("archive cut off", |folder| inside(folder, half), Some(Checksummed), "pg_restore does not read"),
        ("archive of another version", |folder| inside(folder, |raw| raw[6] = 99), Some(Checksummed), "version"),
        ("archive empty", |folder| inside(folder, Vec::clear), Some(Checksummed), "pg_restore does not read"),
        // pg_restore itself notices nothing: without compression its archive has no checksum.
        (
            "one letter of one row another",
            |folder| {
                inside(folder, |raw| {
                    let place = raw.windows(8).rposition(|part| part == b"needle-a").unwrap();
                    raw[place + 7] = b'b';
                });
            },
            Some(Restored),
            "the rows of table public.item are others",
        ),
        (
            "a row too few",
            |folder| edit(folder, |text| text["tables"][0]["rows"] = 12345.into()),
            Some(Restored),
            "in place of 12345",
        ),
        (
            "an extension of another version",
            |folder| edit(folder, |text| text["extensions"]["plpgsql"] = "9".into()),
            Some(Restored),
            "extension plpgsql",
        ),
        ("no such version here", |folder| edit(folder, |text| text["server"] = 30_000.into()), None, "only its own"),
    ]
}

#[tokio::test]
async fn no_damage_is_ever_called_proven() {
    let scratch = testing::Scratch::new("damage").await;
    scratch.app("insert into item (name) select md5(i::text) from generate_series(1, 3000) i; insert into item (name) values ('needle-a')").await;
    let (bench, home) = bench("damage");
    let manifest = taken(&bench, &scratch, 0).await.unwrap();
    let (good, copy) = (home.join(manifest.name.as_str()), home.join("good"));
    fs::rename(&good, &copy).unwrap();
    for (what, damage, level, said) in damages() {
        let _ = fs::remove_dir_all(&good);
        let _ = fs::remove_dir_all(bench.at(&paths::proofs(bench.app())));
        fs::create_dir(&good).unwrap();
        for file in [DUMP, GLOBALS, MANIFEST] {
            fs::copy(copy.join(file), good.join(file)).unwrap();
        }
        damage(&good);
        let cause = proven(&bench, &manifest.name).await.unwrap_err();
        assert!(cause.what.contains(said), "{what}: {cause:?}");
        let proof = proof(&bench, &manifest.name);
        assert_eq!(proof.as_ref().map(|proof| proof.level), *level, "{what}: {cause:?}");
        assert!(proof.is_none_or(|proof| !proof.level.is_proven() && proof.problem.is_some()), "{what}");
    }
}

#[tokio::test]
async fn what_says_nothing_about_the_backup_takes_no_proof_away() {
    let (bench, home) = bench("erp");
    let name: BackupName = "20260101T000000Z".parse().unwrap();
    let manifest = crate::model::backup::testing::manifest(name.as_str());
    write(&home.join(name.as_str()).join(MANIFEST), &serde_json::to_string(&manifest).unwrap());
    let proofs = bench.at(&paths::proofs(bench.app()));
    write(&proofs.join("20250101T000000Z.json"), "{}");
    let proof_of = |problem: Option<String>| Proof {
        backup: name.clone(),
        manifest: String::new(),
        files: None,
        level: Level::Matched,
        reached: Vec::new(),
        problem,
    };
    keep(&proofs, &home, &proof_of(None)).unwrap();
    assert_eq!(fs::read_dir(&proofs).unwrap().count(), 1, "the proof of a backup that is gone goes with it");
    assert_eq!(proof(&bench, &name).unwrap(), proof_of(None));
}
