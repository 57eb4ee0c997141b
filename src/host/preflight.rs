//! What must be true of the machine before a migration, found out while production has felt nothing.

use std::path::Path;

use super::backups;
use crate::config::{Database, Settings};
use crate::database::Cluster;
use crate::deploy::world::Act;
use crate::model::backup::BackupView;
use crate::model::journal::Cause;
use crate::model::lane::Lane;
use crate::model::names::{BackupName, SchemaRevision};
use crate::paths;
use crate::steps::postgres::program;

/// What stays free beside all that is expected.
const RESERVE: u64 = 512 << 20;
/// A copy of a database has a few files for each table and index.
const FILES: u64 = 10_000;

/// Looks at the database and at PostgreSQL's own programs.
///
/// # Errors
/// The first thing that is in the way, and what mends it.
pub async fn database(cluster: &Cluster, database: &Database, lane: Lane) -> Act<()> {
    let db = &database.name;
    let server = cluster.version().await?;
    if database.backup {
        program(server, "pg_dump")?;
    }
    if database.rehearse && lane == Lane::Fenced {
        program(server, "postgres")?;
    }
    if lane == Lane::Fenced {
        cluster.check(db).await?;
        // As far as it is known before the rehearsal.
        room(Path::new(paths::CLUSTERS), cluster.bytes(db).await?)?;
    }
    let invalid = cluster.invalid_indexes(db).await?;
    if let Some(first) = invalid.first() {
        // A migration that makes it "if it does not exist" would take it for made.
        let what = format!("database {db} has an index that does not work: {first}");
        let hint = format!("an attempt to make it has failed; as its owner: drop index concurrently {first}");
        return Err(Cause::new(what).hint(hint));
    }
    Ok(())
}

/// Room for PostgreSQL's files: what grows, and a reserve, for a server whose log of writes has no room stops.
///
/// # Errors
/// If there is too little of it.
pub fn room(place: &Path, grows: u64) -> Act<()> {
    // It may lie elsewhere; then nothing is known, and nothing is guessed.
    let Ok(stat) = nix::sys::statvfs::statvfs(place) else { return Ok(()) };
    let (free, need) = (stat.blocks_available() * stat.fragment_size(), grows + RESERVE);
    let hint = || {
        format!(
            "make room: `du -xh --max-depth=3 {} | sort -h | tail`; or set database.lane = \"stop\", which needs room \
             for a backup alone, and has nothing to go back to by itself",
            place.display()
        )
    };
    if free < need {
        let what = format!(
            "the migration and what there is to go back to need {} MiB in {}, and only {} are free",
            need >> 20,
            place.display(),
            free >> 20
        );
        return Err(Cause::new(what).hint(hint()));
    }
    // A file system that makes them as it needs them has none to count.
    if stat.files() > 0 && stat.files_available() < FILES {
        let what = format!("only {} more files fit on {}", stat.files_available(), place.display());
        return Err(Cause::new(what).hint(hint()));
    }
    Ok(())
}

/// The newest proven backup that shows this schema.
///
/// # Errors
/// If there is none, or it is too old.
pub fn proven_backup(settings: &Settings, schema: &[SchemaRevision], now: i64) -> Act<BackupName> {
    let all = backups::all(&settings.app);
    let all = all.map_err(|error| Cause::new(format!("the backups cannot be listed: {error}")))?;
    let oldest = now - i64::try_from(settings.backup.max_age.as_millis()).unwrap_or(i64::MAX);
    usable(&all, schema, oldest).ok_or_else(|| {
        let hours = settings.backup.max_age.as_secs() / 3600;
        let what = format!("no proven backup shows the schema as it is and is younger than {hours} h");
        Cause::new(what).hint("`tsh-agent backup now` takes one and proves it; then deploy again")
    })
}

fn usable(all: &[BackupView], schema: &[SchemaRevision], oldest: i64) -> Option<BackupName> {
    let shows = |view: &&BackupView| view.manifest.as_ref().is_some_and(|manifest| manifest.schema == schema);
    let young = |view: &&BackupView| view.row.at.is_some_and(|at| at >= oldest);
    let found =
        all.iter().find(|view| view.row.quarantine.is_none() && view.row.is_proven() && shows(view) && young(view));
    found.map(|view| view.row.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::{BackupRow, Level, testing::manifest};

    fn view(name: &str, at: i64, schema: &str, level: Level) -> BackupView {
        let mut manifest = manifest(name);
        manifest.schema = vec![schema.parse().unwrap()];
        let row = BackupRow {
            name: name.parse().unwrap(),
            at: Some(at),
            deployment: None,
            quarantine: None,
            running: None,
            bytes: 1,
            database_bytes: 1,
            tables: 1,
            rows: 1,
            offsite: false,
            level: Some(level),
            problem: None,
        };
        BackupView { row, folder: String::new(), manifest: Some(manifest), files: None, proof: None, sent: None }
    }

    #[test]
    fn without_room_nothing_begins() {
        let here = tempfile::tempdir().unwrap();
        let cause = room(here.path(), 1 << 60).unwrap_err();
        assert!(cause.what.contains("need 1099511628288 MiB in"), "{cause:?}");
        assert!(cause.hint.unwrap().contains("or set database.lane = \"stop\""));
        assert_eq!(room(&here.path().join("nowhere"), 1 << 60), Ok(()));
    }

    #[test]
    fn only_a_proven_one_that_is_young_and_shows_the_schema_will_do() {
        let all = [
            view("20260104T000000Z", 400, "c", Level::Matched),
            view("20260103T000000Z", 300, "b", Level::Restored),
            view("20260102T000000Z", 200, "b", Level::Matched),
            view("20260101T000000Z", 100, "b", Level::Matched),
        ];
        let at = |schema: &str, oldest| usable(&all, &[schema.parse().unwrap()], oldest).map(|name| name.to_string());
        assert_eq!(at("b", 0).as_deref(), Some("20260102T000000Z"));
        assert_eq!(at("b", 201), None);
        assert_eq!(at("a", 0), None);
    }
}
