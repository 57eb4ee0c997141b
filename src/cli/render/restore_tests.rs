use insta::assert_snapshot;
use jiff::tz::TimeZone;

use super::*;
use crate::model::backup::{BackupRow, Level};
use crate::model::names::ReleaseId;

fn view() -> RestoreView {
    let table = |name: &str, rows, since, other| Leaving {
        schema: if name == "events" { "log" } else { "public" }.into(),
        name: name.into(),
        rows,
        since,
        other: Some(other),
        counted: true,
    };
    RestoreView {
        app: "erp".parse().unwrap(),
        backup: BackupRow {
            name: "20261121T031500Z".parse().unwrap(),
            at: Some(1_795_230_900_000),
            deployment: None,
            quarantine: None,
            running: Some(ReleaseId(41)),
            bytes: 214_000_000,
            database_bytes: 942_000_000,
            tables: 4,
            rows: 5_000_010,
            offsite: false,
            level: Some(Level::Matched),
            problem: None,
        },
        database: "tsh_erp".into(),
        release: ReleaseId(42),
        schema: vec!["a1".parse().unwrap()],
        live_schema: Ok(vec!["a1".parse().unwrap()]),
        refused: None,
        leaving: Ok(vec![
            table("orders", 14, Some(4), 10),
            table("events", 50, Some(50), 40),
            table("customers", 9, Some(0), 9),
            Leaving { counted: false, ..table("archive", 5_000_000, None, 4_999_000) },
        ]),
        free: Some(90_000_000_000),
        need: 2_500_000_000,
        keep_days: 7,
    }
}

fn screen(view: &RestoreView) -> String {
    let look = Look { width: 80, colour: false, now: 1_795_236_000_000, zone: TimeZone::UTC };
    let text = plan(view, &look);
    assert!(text.lines().all(|line| width(line) <= 80), "{text}");
    text
}

#[test]
fn what_leaves_is_told_beside_the_question() {
    assert_snapshot!(screen(&view()), @"
    restore backup 20261121T031500Z of erp: proven
      taken:      2026-11-21 03:15, 1 h 25 min ago, 5000010 rows in 4 tables
      replaces:   tsh_erp, which is kept for at least 7 days
      release:    42 runs on it
      schema:     the backup is at a1, the live one at a1
      space:      2500 MB needed, 90 GB free

    at least 14 rows leave the live database, 0 rows come back
      log.events  10 new or changed, 0 gone or changed (by number only)
      orders      4 new or changed, 0 gone or changed
      archive     about 5000000 rows, too large to count now
    what is written from now until the swap leaves it, too
    ");
    let same = RestoreView { leaving: Ok(Vec::new()), ..view() };
    assert!(screen(&same).ends_with("nothing would leave it\n"));
    let blind = RestoreView { leaving: Err("database erp does not exist".into()), free: None, ..view() };
    assert!(screen(&blind).contains("leaves:     cannot be told: database erp does not exist"));
    let mut doubtful = view();
    doubtful.backup.level = Some(Level::Written);
    assert!(screen(&doubtful).contains("this backup is not proven"));
}
