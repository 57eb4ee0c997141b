use std::fs;
use std::path::Path;

use super::*;
use crate::database::testing::Scratch;
use crate::database::{MIGRATOR, Swap};
use crate::model::names::DeploymentId;
use crate::steps::backup::MANIFEST;
use crate::steps::backup::tests::{bench, taken};
use crate::steps::prove::tests::{damages, furnished};
use crate::steps::testing::Bench;

fn room(scratch: &Scratch) -> Aside {
    Aside::restored(&scratch.name, DeploymentId(9))
}

/// What the core and the step do in deployment 9.
async fn restored(bench: &Bench, scratch: &Scratch, manifest: &Manifest) -> Outcome {
    let made = scratch.cluster.make_room(&scratch.name, &room(scratch), &manifest.locale, &scratch.owner).await;
    made.unwrap();
    let job = bench.job(9, Work::Restore { backup: manifest.name.clone() });
    restore(&job, &scratch.server.cluster(MIGRATOR), &manifest.name).await
}

fn set_owner(bench: &mut Bench, scratch: &Scratch) {
    if let Some(database) = &mut bench.settings.database {
        database.owner = scratch.owner.clone();
    }
}

async fn inside(scratch: &Scratch, sql: &str) -> Vec<Option<String>> {
    scratch.server.rows("postgres", room(scratch).name(), sql).await
}

#[tokio::test]
async fn a_backup_comes_back_whole_and_as_the_owners() {
    let scratch = furnished("whole").await;
    let (mut bench, _home) = bench("whole");
    set_owner(&mut bench, &scratch);
    let manifest = taken(&bench, &scratch, 0).await.unwrap();
    scratch.app("delete from public.item where id > 100; insert into public.item (name) values ('later')").await;
    let out = restored(&bench, &scratch, &manifest).await.unwrap();
    let Output::Loaded { database, tables, rows } = out else { panic!("{out:?}") };
    assert_eq!((database.as_str(), tables, rows), ("whole_restored_9", manifest.tables.len(), manifest.rows()));
    let owners = "select distinct tableowner::text from pg_tables where schemaname in ('public', 'own')";
    assert_eq!(inside(&scratch, owners).await, [Some("whole_app".into())]);
    let analyzed = "select (count(*) > 0)::text from pg_stats where tablename = 'item'";
    assert_eq!(inside(&scratch, analyzed).await, [Some("true".into())]);

    // All the way: it becomes live, with the settings of the live one, and its numbers go on behind the live one's.
    let access = scratch.cluster.access("whole").await.unwrap();
    scratch.cluster.fence("whole").await.unwrap();
    let swap = Swap {
        db: "whole".into(),
        incoming: room(&scratch),
        outgoing: Aside::quarantine("whole", DeploymentId(9)),
        note: "tsh-agent: before".into(),
    };
    scratch.cluster.swap(&swap, access.as_deref()).await.unwrap();
    scratch.cluster.unfence("whole", access.as_deref()).await.unwrap();
    let next = scratch.app("insert into public.item (name) values ('next') returning id::text").await;
    assert_eq!(next, [Some("20002".into())]);
    assert_eq!(scratch.app("show statement_timeout").await, [Some("1min".into())]);
    let left = scratch.cluster.written_since("whole_quarantine_9", Some(&manifest.snapshot), ANALYZE).await.unwrap();
    let left = crate::model::leaving::beside(left, &manifest.tables);
    let told: Vec<_> = left.iter().filter(|table| table.leave() + table.come_back() > 0).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].name.as_str(), told[0].leave(), told[0].come_back()), ("item", 1, 19_900));
}

#[tokio::test]
async fn what_is_in_a_dump_has_the_rights_of_the_owner_only() {
    let scratch = Scratch::new("rights").await;
    // Code in a dump runs while it is restored: here, where a row is checked.
    let spy = |body: &str| {
        format!("create or replace function spy() returns boolean language plpgsql as $$ begin {body} end $$")
    };
    scratch.app(&spy("return true;")).await;
    scratch.app("create table trap (id int check (spy())); insert into trap values (1)").await;
    scratch.app(&spy("raise exception 'as % for %', current_user, session_user;")).await;
    let (mut bench, _home) = bench("rights");
    set_owner(&mut bench, &scratch);
    let manifest = taken(&bench, &scratch, 0).await.unwrap();
    let cause = restored(&bench, &scratch, &manifest).await.unwrap_err();
    assert!(cause.tail.join(" ").contains("as rights_app for tsh-agent-migrate"), "{cause:?}");
}

#[tokio::test]
async fn no_damage_is_ever_restored() {
    let scratch = Scratch::new("hurt").await;
    scratch.app("insert into item (name) select md5(i::text) from generate_series(1, 3000) i; insert into item (name) values ('needle-a')").await;
    let (mut bench, home) = bench("hurt");
    set_owner(&mut bench, &scratch);
    let manifest = taken(&bench, &scratch, 0).await.unwrap();
    let (good, copy) = (home.join(manifest.name.as_str()), home.join("good"));
    fs::rename(&good, &copy).unwrap();
    let again = || {
        let _ = fs::remove_dir_all(&good);
        fs::create_dir(&good).unwrap();
        for file in [DUMP, GLOBALS, MANIFEST] {
            fs::copy(copy.join(file), good.join(file)).unwrap();
        }
    };
    let newer: fn(&Path) = |folder| {
        let text = fs::read_to_string(folder.join(MANIFEST)).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["server"] = 990_000.into();
        fs::write(folder.join(MANIFEST), value.to_string()).unwrap();
    };
    // What the prover needs the server's own version for, this server's own can read.
    let kinds = damages().iter().filter(|(what, ..)| *what != "no such version here");
    let kinds = kinds.map(|(what, damage, _, said)| (*what, *damage, *said));
    let mut count = 0;
    for (what, damage, said) in kinds.chain([("of a newer server", newer, "this server is")]) {
        again();
        damage(&good);
        let cause = restored(&bench, &scratch, &manifest).await.unwrap_err();
        assert!(cause.what.contains(said) && cause.what.contains("is NOT good"), "{what}: {cause:?}");
        count += 1;
    }
    assert!(count >= 18, "only {count} kinds of damage");
    again();
    restored(&bench, &scratch, &manifest).await.unwrap();
    let live = scratch.app("select count(*)::text from item").await;
    assert_eq!(live, [Some("3001".into())], "the live database was touched");
}
