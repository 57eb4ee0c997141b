//! A backup: what is in it, and what is proven about it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::files::Files;
use super::names::{App, BackupName, DeploymentId, ReleaseId, SchemaRevision, Sha};
use super::offsite::Sent;

/// What a backup is. It lies beside the dump and says what must come out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name, which is also the folder's.
    pub name: BackupName,
    /// The application.
    pub app: App,
    /// The deployment that made it, if one did.
    pub deployment: Option<DeploymentId>,
    /// The release that ran on the database.
    pub running: Option<ReleaseId>,
    /// That release's commit.
    pub revision: Option<Sha>,
    /// The database.
    pub database: String,
    /// The deployment that set the database aside, if it is a quarantine.
    #[serde(default)]
    pub quarantine: Option<DeploymentId>,
    /// Its revisions.
    pub schema: Vec<SchemaRevision>,
    /// The server's version, as in `150013`.
    pub server: u32,
    /// What `pg_dump --version` says.
    pub pg_dump: String,
    /// How it writes and compares text.
    pub locale: Locale,
    /// Extensions and their versions.
    pub extensions: BTreeMap<String, String>,
    /// What the dump sees, as `pg_current_snapshot()` tells it: a row changed since is not visible in it.
    pub snapshot: String,
    /// Where the log of writes was.
    pub lsn: String,
    /// The server's own number: elsewhere the snapshot means nothing.
    #[serde(default)]
    pub system: Option<String>,
    /// Every table.
    pub tables: Vec<Table>,
    /// Every sequence. They are not transactional: a restored one may be further, never behind.
    pub sequences: Vec<Sequence>,
    /// Size of the database on disk in bytes.
    pub database_bytes: u64,
    /// Size of the dump in bytes before compression.
    pub raw_bytes: u64,
    /// The dump.
    pub dump: File,
    /// Roles without passwords, and what is bound to the database and not in the dump.
    pub globals: File,
    /// For whom it is encrypted; for nobody in particular, if this is empty.
    #[serde(default)]
    pub encrypted_to: Vec<String>,
    /// Folders below the application's shared ones that belong to it, and are kept beside it.
    #[serde(default)]
    pub folders: Vec<String>,
    /// The moment it shows (UTC, RFC 3339).
    pub at: String,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// What was proven when this was written; the proof tells what was proven since.
    pub level: Level,
}

/// A file of the backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// How a database writes and compares text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    /// The encoding.
    pub encoding: String,
    /// "libc" or "icu".
    pub provider: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// ICU's own locale.
    pub icu: Option<String>,
    /// The version of the library's rules, where it has one.
    pub version: Option<String>,
}

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// The sum over all rows of a hash of each, which does not depend on their order; `None` where the table is so
    /// large that it was only counted.
    pub hash: Option<String>,
}

/// One sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub value: i64,
    /// Whether that value was given out.
    pub called: bool,
    /// Whether it counts upwards and never begins again.
    pub grows: bool,
}

/// What is proven about a backup. Each level includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It was written whole and is on the disk.
    Written,
    /// What is on the disk is what was written.
    Checksummed,
    /// All of it can be decompressed and read as an archive.
    Decodes,
    /// It was restored into an empty cluster, roles and settings included.
    Restored,
    /// What was restored is what the manifest says, table by table.
    Matched,
}

impl Level {
    /// The word people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Checksummed => "checksummed",
            Self::Decodes => "decodes",
            Self::Restored => "restored",
            Self::Matched => "matched",
        }
    }

    /// Whether the backup may be called proven: nothing less than a restore that matches is a proof.
    #[must_use]
    pub fn is_proven(self) -> bool {
        self == Self::Matched
    }
}

/// What came of proving a backup. The prover writes it where the backup's owner cannot, and the other way round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The backup.
    pub backup: BackupName,
    /// SHA-256 of the manifest that was proven, in hexadecimal: of another one it says nothing.
    pub manifest: String,
    /// SHA-256 of what it says about its folders, if it has any.
    #[serde(default)]
    pub files: Option<String>,
    /// How far it came.
    pub level: Level,
    /// When each level was reached, and how long that took.
    pub reached: Vec<Reached>,
    /// Why it came no further.
    pub problem: Option<String>,
}

/// A level that was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Which.
    pub level: Level,
    /// When (UTC, RFC 3339).
    pub at: String,
    /// How long it took, in milliseconds.
    pub took: u64,
}

/// A backup as the interface lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRow {
    /// Its name.
    pub name: BackupName,
    /// The moment it shows, in milliseconds since 1970 (UTC), as far as that is known.
    pub at: Option<i64>,
    /// The deployment that made it, if one did.
    pub deployment: Option<DeploymentId>,
    /// The deployment that set the database aside, if it is one of a quarantine.
    #[serde(default)]
    pub quarantine: Option<DeploymentId>,
    /// The release that ran on the database.
    pub running: Option<ReleaseId>,
    /// Size on disk in bytes.
    pub bytes: u64,
    /// Size of the database in bytes.
    pub database_bytes: u64,
    /// Tables and rows in it.
    pub tables: usize,
    /// Rows of all tables.
    pub rows: u64,
    /// Whether it is off-site.
    #[serde(default)]
    pub offsite: bool,
    /// What is proven about it; `None` if it is no backup at all.
    pub level: Option<Level>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

impl BackupRow {
    /// Whether it was restored and matched.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.problem.is_none() && self.level.is_some_and(Level::is_proven)
    }
}

/// Everything about a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupView {
    /// In short.
    pub row: BackupRow,
    /// Where it lies.
    pub folder: String,
    /// Its manifest, if that can be read.
    pub manifest: Option<Manifest>,
    /// Its folders, if it has any.
    #[serde(default)]
    pub files: Option<Files>,
    /// What came of carrying it off-site, if it is there.
    #[serde(default)]
    pub sent: Option<Sent>,
    /// What came of proving it, if that was tried.
    pub proof: Option<Proof>,
}

/// A backup that retention would delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doomed {
    /// Its name.
    pub name: BackupName,
    /// Why it may go.
    pub why: String,
    /// Size on disk in bytes.
    pub bytes: u64,
}

impl Manifest {
    /// The name of one of its files as it lies on the disk.
    #[must_use]
    pub fn named(&self, file: &str) -> String {
        if self.encrypted_to.is_empty() { file.to_owned() } else { format!("{file}.age") }
    }

    /// Rows of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// How restored content differs from the manifest; empty if it matches.
#[must_use]
pub fn differences(manifest: &Manifest, tables: &[Table], sequences: &[Sequence]) -> Vec<String> {
    let mut out = Vec::new();
    for want in &manifest.tables {
        let name = format!("{}.{}", want.schema, want.name);
        match tables.iter().find(|have| (&have.schema, &have.name) == (&want.schema, &want.name)) {
            None => out.push(format!("table {name} is missing")),
            Some(have) if have.rows != want.rows => {
                out.push(format!("table {name} has {} rows in place of {}", have.rows, want.rows));
            }
            Some(have) if want.hash.is_some() && have.hash != want.hash => {
                out.push(format!("the rows of table {name} are others, though as many"));
            }
            Some(_) => {}
        }
    }
    let known =
        |have: &&Table| manifest.tables.iter().any(|want| (&want.schema, &want.name) == (&have.schema, &have.name));
    out.extend(
        tables.iter().filter(|have| !known(have)).map(|have| format!("table {}.{} is new", have.schema, have.name)),
    );
    for want in &manifest.sequences {
        let name = format!("{}.{}", want.schema, want.name);
        match sequences.iter().find(|have| (&have.schema, &have.name) == (&want.schema, &want.name)) {
            None => out.push(format!("sequence {name} is missing")),
            Some(have) if want.grows && (have.value, have.called) < (want.value, want.called) => {
                out.push(format!("sequence {name} is at {} in place of {}", have.value, want.value));
            }
            Some(_) => {}
        }
    }
    out
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_restore_that_matches_is_a_proof() {
        use Level::*;
        let levels = [Written, Checksummed, Decodes, Restored, Matched];
        assert!(levels.is_sorted());
        assert_eq!(levels.into_iter().filter(|level| level.is_proven()).collect::<Vec<_>>(), [Matched]);
        for level in levels {
            assert_eq!(serde_json::to_value(level).unwrap(), level.word());
        }
    }

    #[test]
    fn every_difference_is_told() {
        let manifest = testing::manifest("20261121T031500Z");
        let (tables, sequences) = (manifest.tables.clone(), manifest.sequences.clone());
        assert_eq!(differences(&manifest, &tables, &sequences), Vec::<String>::new());
        let with = |change: fn(&mut Vec<Table>, &mut Vec<Sequence>)| {
            let (mut tables, mut sequences) = (tables.clone(), sequences.clone());
            change(&mut tables, &mut sequences);
            differences(&manifest, &tables, &sequences).join("; ")
        };
        assert_eq!(with(|tables, _| drop(tables.remove(0))), "table public.orders is missing");
        assert_eq!(with(|tables, _| tables[0].rows = 9), "table public.orders has 9 rows in place of 10");
        assert!(with(|tables, _| tables[0].hash = Some("8".into())).contains("public.orders are others"));
        assert!(with(|tables, _| tables[0].hash = None).contains("public.orders are others"));
        assert_eq!(
            with(|tables, _| tables[0].name = "x".into()),
            "table public.orders is missing; table public.x is new"
        );
        // One that was only counted is compared by its count.
        assert_eq!(with(|tables, _| tables[1].hash = Some("8".into())), "");
        assert_eq!(with(|_, sequences| sequences[0].value = 9), "sequence public.orders_id_seq is at 9 in place of 10");
        assert_eq!(with(|_, sequences| sequences[0].value = 99), "");
        assert_eq!(with(|_, sequences| sequences.clear()), "sequence public.orders_id_seq is missing");
    }
}
