use insta::assert_snapshot;
use jiff::tz::TimeZone;

use super::*;
use crate::model::backup::{Reached, testing::manifest};
use crate::model::care::{Care, Kind};

fn look() -> Look {
    Look { width: 80, colour: false, now: 1_795_236_000_000, zone: TimeZone::UTC }
}

fn row(name: &str, level: Option<Level>, problem: Option<&str>) -> BackupRow {
    let manifest = manifest(name);
    BackupRow {
        name: manifest.name.clone(),
        at: level.map(|_| 1_795_230_900_000),
        deployment: None,
        quarantine: None,
        running: manifest.running,
        bytes: manifest.dump.bytes,
        database_bytes: manifest.database_bytes,
        tables: 2,
        rows: manifest.rows(),
        offsite: level == Some(Level::Matched),
        level,
        problem: problem.map(str::to_owned),
    }
}

fn narrow(text: &str) {
    for line in text.lines() {
        assert!(width(line) <= 80, "{line}");
    }
}

#[test]
fn the_list() {
    let rows = [
        row("20261121T031500Z", Some(Level::Written), None),
        row("4294967295-20261120T031500Z", Some(Level::Matched), None),
        row("20261119T031500Z", Some(Level::Checksummed), Some("it cannot be decompressed")),
        row("20261118T031500Z", None, Some("its manifest cannot be used")),
    ];
    let text = list(&rows, &look());
    narrow(&text);
    assert_snapshot!(text, @"
    NAME                         TAKEN             SIZE      OF        LEVEL
    20261121T031500Z             2026-11-21 03:15  214 MB    942 MB    written
    4294967295-20261120T031500Z  2026-11-21 03:15  214 MB    942 MB    proven  sent
    20261119T031500Z             2026-11-21 03:15  214 MB    942 MB    NOT GOOD
    20261118T031500Z             ?                 214 MB    942 MB    NO BACKUP
    `tsh-agent backup show 20261119T031500Z` says what is wrong
    ");
    assert_snapshot!(list(&rows[..1], &look()), @"
    NAME              TAKEN             SIZE      OF        LEVEL
    20261121T031500Z  2026-11-21 03:15  214 MB    942 MB    written
    none is proven; `tsh-agent backup verify` proves the newest
    ");
    assert_snapshot!(list(&[], &look()), @"no backups yet; `tsh-agent backup now` takes one");
}

#[test]
fn one_backup() {
    let manifest = manifest("20261121T031500Z");
    let reached = |level| Reached { level, at: "2026-11-21T03:16:00Z".into(), took: 13_400 };
    let proof = Proof {
        backup: manifest.name.clone(),
        manifest: String::new(),
        files: None,
        level: Level::Decodes,
        reached: vec![reached(Level::Checksummed), reached(Level::Decodes)],
        problem: Some("pg_restore does not read it".into()),
    };
    let row = row("20261121T031500Z", Some(Level::Decodes), Some("pg_restore does not read it"));
    let folder = "/var/backups/tsh-agent/erp/20261121T031500Z".to_owned();
    let file = manifest.globals.clone();
    let files = Files {
        backup: manifest.name.clone(),
        manifest: String::new(),
        folders: vec!["uploads".to_owned()],
        files: 10_000,
        bytes: 1_000_000_000,
        objects: 9_990,
        stored_bytes: 800_000_000,
        new_bytes: 3_000_000,
        restless: 1,
        left_out: 0,
        at: "2026-11-21T03:15:09Z".into(),
        took: 4_000,
        listing: file.clone(),
        index: file,
    };
    let view = BackupView { row, folder, manifest: Some(manifest), files: Some(files), sent: None, proof: Some(proof) };
    let text = show(&view, &look());
    narrow(&text);
    assert_snapshot!(text, @"
    backup 20261121T031500Z: NOT GOOD
      problem:    pg_restore does not read it
      folder:     /var/backups/tsh-agent/erp/20261121T031500Z
      database:   erp, 942 MB on disk
      dump:       214 MB, taken in 5.1 s
      files:      10000 of uploads, 1000 MB; 3000 kB of it new, 1 changed meanwhile
      running:    release 41
      schema:     a1
      server:     PostgreSQL 15.18, UTF8 C.UTF-8, pg_dump (PostgreSQL) 15.18
      extensions: plpgsql 1.0
      sha256:     abababababababababababababababababababababababababababababababab
      levels:     written 2026-11-21 03:15
                  checksummed 2026-11-21 03:16, 13 s
                  decodes 2026-11-21 03:16, 13 s
                  NOT restored
                  NOT matched
      tables:     public.events: 5000000 rows, only counted
                  public.orders: 10 rows
    ");
}

#[test]
fn a_run_and_what_would_go() {
    let progress = |part, state: &str, detail: &str, took| Progress {
        part,
        state: state.into(),
        began: 1_795_235_990_000,
        took,
        detail: detail.into(),
        before: String::new(),
        cause: None,
    };
    let parts = [
        progress(Part::Backup, "done", "20261121T031500Z, 214 MB", Some(5_100)),
        progress(Part::Prove, "running", "decodes after 3.2 s", None),
        progress(Part::Prune, "done", "", Some(200)),
        progress(Part::Prove, "failed", &"a long reason ".repeat(9), Some(200)),
    ];
    let text: String = parts.iter().map(|one| part(one, &look())).collect();
    narrow(&text);
    assert_snapshot!(text, @"
    ✓ backup  20261121T031500Z, 214 MB                                       5.1 s
    … prove   decodes after 3.2 s                                             10 s
    ✓ prune   nothing to delete                                              0.2 s
    ✗ prove   a long reason a long reason a long reason a long reason a lon… 0.2 s
    ");
    let care =
        Care { backup: "20261121T031500Z".parse().ok(), ..Care::new(Kind::Backup, "olga".into(), "b".into(), None) };
    let care = Care { parts: vec![progress(Part::Prove, "done", "", Some(1))], ..care };
    let view = CareView { id: 1, app: "erp".parse().unwrap(), asked: 0, state: "done".into(), care };
    assert_eq!(ended(&view, &look()), "backup 20261121T031500Z of erp is proven\n");
    let doomed = [Doomed {
        name: "4294967295-20261120T031500Z".parse().unwrap(),
        why: crate::model::retention::Reason::SameDay.words().to_owned(),
        bytes: 214_000_000,
    }];
    let text = super::doomed(&doomed, &look());
    narrow(&text);
    assert_snapshot!(text, @"
    NAME                         SIZE      WHY
    4294967295-20261120T031500Z  214 MB    older than 7 days, not the one of its day
    ");
}
