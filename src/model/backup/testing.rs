//! A manifest for tests.

use super::*;

/// A small manifest.
pub fn manifest(name: &str) -> Manifest {
    let table = |name: &str, rows, hash: Option<&str>| Table {
        schema: "public".into(),
        name: name.into(),
        rows,
        hash: hash.map(str::to_owned),
    };
    Manifest {
        name: name.parse().unwrap(),
        app: "erp".parse().unwrap(),
        deployment: None,
        running: Some(ReleaseId(41)),
        revision: None,
        database: "erp".into(),
        quarantine: None,
        schema: vec!["a1".parse().unwrap()],
        server: 150_018,
        pg_dump: "pg_dump (PostgreSQL) 15.18".into(),
        locale: Locale {
            encoding: "UTF8".into(),
            provider: "libc".into(),
            collate: "C.UTF-8".into(),
            ctype: "C.UTF-8".into(),
            icu: None,
            version: None,
        },
        extensions: [("plpgsql".to_owned(), "1.0".to_owned())].into(),
        snapshot: "740:740:".into(),
        lsn: "0/15C5AA0".into(),
        system: Some("7300000000000000001".into()),
        tables: vec![table("orders", 10, Some("-77")), table("events", 5_000_000, None)],
        sequences: vec![Sequence {
            schema: "public".into(),
            name: "orders_id_seq".into(),
            value: 10,
            called: true,
            grows: true,
        }],
        database_bytes: 942_000_000,
        raw_bytes: 630_000_000,
        dump: File { bytes: 214_000_000, sha256: "ab".repeat(32) },
        globals: File { bytes: 2_000, sha256: "cd".repeat(32) },
        encrypted_to: Vec::new(),
        folders: Vec::new(),
        at: "2026-11-21T03:15:00Z".into(),
        took: 5_100,
        level: Level::Written,
    }
}
