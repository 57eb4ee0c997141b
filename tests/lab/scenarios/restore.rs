//! A backup takes the live database's place, with somebody writing all the time: each acknowledged order is in the live
//! database or in the one that was kept aside, whatever dies meanwhile.

use std::collections::HashSet;

use tsh_agent::model::outcome::Verdict::{self, Deployed, Failed, RolledBack};
use tsh_agent::model::step::Step;

use crate::harness::state::Server;
use crate::harness::strike::{strike, struck};
use crate::harness::wait::{seconds, until};
use crate::harness::writer::{self, FILE, Writer};

/// A server with a backup and orders that came after it.
struct Scene {
    server: Server,
    writer: Option<Writer>,
    backup: String,
}

impl Scene {
    fn set() -> Self {
        let server = Server::ready();
        let writer = Writer::start(&server);
        server.agent("backup now").ok();
        let list: serde_json::Value = serde_json::from_str(&server.agent("backup list --json").ok()).unwrap();
        let backup = list[0]["name"].as_str().unwrap().to_owned();
        writer::progress(&server, writer::acknowledged(&server) + 10);
        Self { server, writer: Some(writer), backup }
    }

    fn order(&self, more: &str) -> String {
        format!("backup restore {} --yes-restore tsh_erp {more}", self.backup)
    }

    /// One with harm done during `step` of a restore, and the number of that.
    fn struck(step: &str, harm: &str) -> (Self, u32) {
        struck(|| {
            let scene = Self::set();
            let id = strike(&scene.server, &scene.order("--detach"), step, harm);
            (scene, id)
        })
    }

    /// The server is whole, and what `show` says about rows is true.
    fn verify(mut self, id: u32, verdict: Verdict) {
        let server = &self.server;
        server.verify(id, verdict);
        if self.writer.is_none() {
            self.writer = Some(Writer::start(server));
        }
        writer::progress(server, writer::acknowledged(server));
        drop(self.writer.take());
        let view = server.show(id);
        let live = refs(server, "tsh_erp");
        let acked = server.ok(&format!("cat {FILE}"));
        let lost = |there: &HashSet<String>| acked.lines().filter(|order| !there.contains(*order)).count();
        if verdict != Deployed {
            assert_eq!(lost(&live), 0, "orders were lost");
            return;
        }
        let aside = refs(server, &format!("tsh_erp_quarantine_{id}"));
        let only_aside = aside.difference(&live).count();
        assert!(only_aside > 0, "the backup is as new as the database: this shows nothing");
        assert_eq!(lost(&live.union(&aside).cloned().collect()), 0, "orders were lost");
        // The worker changes orders, but nobody deletes one: a changed one leaves, and comes back as it was.
        let told = view.only_aside.iter().find(|one| one.name == "orders").unwrap();
        assert_eq!(told.leave() - told.come_back(), only_aside as u64, "{:?}", view.only_aside);
        assert!(view.database.unwrap().contains(&format!("orders {}", told.leave())));
        // Numbers were given out once.
        let twice = "select max(id) from orders";
        let last = |db: &str| server.ok(&psql(db, twice)).parse::<u64>().unwrap();
        assert!(last("tsh_erp") > last(&format!("tsh_erp_quarantine_{id}")));
    }
}

fn psql(db: &str, sql: &str) -> String {
    format!("runuser -u postgres -- psql -XAt -d {db} -c \"{sql}\"")
}

fn refs(server: &Server, db: &str) -> HashSet<String> {
    server.ok(&psql(db, "select ref from orders")).lines().map(str::to_owned).collect()
}

#[test]
fn what_was_written_since_the_backup_is_kept_aside_and_told() {
    let scene = Scene::set();
    let shown = scene.server.agent(&format!("backup restore {} --dry-run", scene.backup)).ok();
    assert!(shown.contains("leave the live database"), "{shown}");
    assert_eq!(scene.server.agent(&format!("backup restore {} --yes-restore erp", scene.backup)).code, 2);
    let said = scene.server.agent(&scene.order(""));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("only there (orders "), "{said:?}");
    let id = scene.server.newest();
    assert_eq!(scene.server.show(id).kind, "restore");
    scene.verify(id, Deployed);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn a_backup_of_another_schema_is_refused_with_the_release_that_fits() {
    let scene = Scene::set();
    scene.server.agent("deploy v/breaking").ok();
    let said = scene.server.agent(&scene.order(""));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("does not fit the backup") && said.err.contains("--release 1"), "{said:?}");
    let said = scene.server.agent(&scene.order("--release 1"));
    assert_eq!(said.code, 0, "{said:?}");
    let id = scene.server.newest();
    scene.verify(id, Deployed);
}

#[test]
fn what_is_not_healthy_on_the_backup_is_swapped_back() {
    let scene = Scene::set();
    assert_eq!(scene.server.agent("deploy v/dies-at-import").code, 3);
    let bad = scene.server.newest();
    let said = scene.server.agent(&scene.order(&format!("--release {bad}")));
    assert_eq!(said.code, 3, "{said:?}");
    let id = scene.server.newest();
    assert!(said.err.contains(&format!("tsh_erp_restored_{id}")), "{said:?}");
    scene.verify(id, RolledBack);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn a_damaged_backup_stops_before_production_feels_it() {
    let scene = Scene::set();
    let dump = format!("/var/backups/tsh-agent/tsh-erp/{}/db.dump.zst", scene.backup);
    scene.server.ok(&format!("printf X | dd of={dump} bs=1 seek=2000 conv=notrunc status=none"));
    let said = scene.server.agent(&scene.order(""));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("is NOT good") && said.err.contains("SHA-256"), "{said:?}");
    let id = scene.server.newest();
    scene.verify(id, Failed);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn what_is_aside_goes_only_when_a_dump_of_it_is_proven() {
    let scene = Scene::set();
    let server = &scene.server;
    server.agent(&scene.order("")).ok();
    let id = server.newest();
    let json = |args: &str| -> Vec<serde_json::Value> {
        serde_json::from_str(&server.agent(&format!("backup list --json {args}")).ok()).unwrap()
    };
    let aside = || json("--quarantines").iter().any(|one| one["deployment"] == id);
    server.agent("backup now --daily").ok();
    assert!(aside(), "it went before its time");
    assert!(json("").iter().all(|row| row["quarantine"].is_null()), "a dump was taken before its time");
    let rows = server.ok(&psql(&format!("tsh_erp_quarantine_{id}"), "select count(*) from orders"));

    // Two days later.
    server.set("quarantine_days", "1");
    let later = format!("update deployments set ended = ended - 2 * 86400000 where id = {id}");
    server.ok(&format!(
        "python3 -c 'import sqlite3; c = sqlite3.connect(\"/var/lib/tsh-agent/state.db\"); c.execute(\"{later}\"); c.commit()'"
    ));
    server.agent("backup now --daily").ok();
    until("the quarantine is forgotten", seconds(60), || (!aside()).then_some(()));
    let dump = json("").into_iter().find(|row| row["quarantine"] == id).unwrap();
    assert_eq!((dump["level"].as_str(), dump["problem"].as_str()), (Some("matched"), None));
    let view: serde_json::Value =
        serde_json::from_str(&server.agent(&format!("backup show {} --json", dump["name"].as_str().unwrap())).ok())
            .unwrap();
    let tables = view["manifest"]["tables"].as_array().unwrap();
    let orders = tables.iter().find(|table| table["name"] == "orders").unwrap();
    assert_eq!(orders["rows"].to_string(), rows);
    assert_eq!(
        server.ok(&psql("postgres", &format!("select 1 from pg_database where datname ~ 'quarantine_{id}$'"))),
        ""
    );
}

fn core_dies(step: &str, harm: &str, verdict: Verdict) {
    let (scene, id) = Scene::struck(step, harm);
    scene.server.settled(id);
    assert_eq!(scene.server.ok("systemctl show -P NRestarts tsh-agent"), "1", "the core died once");
    scene.verify(id, verdict);
}

/// The step's unit, or the database server, dies.
fn other_dies(step: &str, harm: &str, verdict: Verdict) {
    let (scene, id) = Scene::struck(step, harm);
    scene.server.settled(id);
    scene.verify(id, verdict);
}

fn machine_dies(step: &str, verdict: Verdict) {
    let (mut scene, id) = Scene::struck(step, "freeze");
    scene.server.crash();
    drop(scene.writer.take());
    scene.server.up();
    scene.server.settled(id);
    scene.verify(id, verdict);
}

/// One test for each moment; those after `full` run only with `scripts/test --full`.
macro_rules! moments {
    ($what:ident { $($name:ident: $($argument:expr),+;)* } full { $($more:ident: $($others:expr),+;)* }) => {
        $(#[test] fn $name() { $what($($argument),+); })*
        $(#[test] #[ignore = "scripts/test --full runs it"] fn $more() { $what($($others),+); })*
    };
}

mod the_core_dies_at {
    use super::*;
    moments! { core_dies {
    } full {
        swap: "swap", "core", Deployed;
        inspect: "inspect", "core-mid", Deployed;
        load: "load", "core-mid", Deployed;
        load_at_once: "load", "core", Deployed;
        close: "close", "core", Deployed;
        stop: "stop", "core", Deployed;
        fence: "fence", "core", Deployed;
        switch: "switch", "core", Deployed;
        admit: "admit", "core", Deployed;
        start: "start", "core", Deployed;
        probe: "probe", "core-mid", Deployed;
        open: "open", "core", Deployed;
        workers: "workers", "core", Deployed;
        bake: "bake", "core-mid", Deployed;
        settle: "settle", "core", Deployed;
        count: "count", "core", Deployed;
        prune: "prune", "core-mid", Deployed;
    }}
}

mod something_else_dies_at {
    use super::*;
    moments! { other_dies {
    } full {
        the_load_itself: "load", "unit", Failed;
        load: "load", "cluster", Failed;
        fence: "fence", "cluster", RolledBack;
        swap: "swap", "cluster", RolledBack;
        admit: "admit", "cluster", RolledBack;
        count: "count", "cluster", Deployed;
    }}
}

mod the_machine_dies_at {
    use super::*;
    moments! { machine_dies {
        swap: "swap", RolledBack;
    } full {
        load: "load", Deployed;
        close: "close", RolledBack;
        stop: "stop", RolledBack;
        fence: "fence", RolledBack;
        switch: "switch", RolledBack;
        admit: "admit", RolledBack;
        start: "start", RolledBack;
        probe: "probe", RolledBack;
        open: "open", Deployed;
        workers: "workers", Deployed;
        bake: "bake", Deployed;
        settle: "settle", Deployed;
        count: "count", Deployed;
        prune: "prune", Deployed;
    }}
}

#[test]
fn every_step_of_a_restore_is_struck() {
    let here = include_str!("restore.rs");
    for step in Step::restore_plan() {
        let word = step.word();
        assert!(here.contains(&format!(": \"{word}\", \"core")), "the core does not die at {word}");
    }
}
