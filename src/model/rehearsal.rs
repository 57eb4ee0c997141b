//! What a rehearsal found: the pending migrations were run on a copy of the database, both releases were started on
//! the result, and all of it was watched.

use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::names::{BackupName, SchemaRevision, Sha};

/// The report. It is kept with the deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The backup that was restored, compared and migrated.
    pub backup: BackupName,
    /// Size of the restored database on disk in bytes.
    pub database_bytes: u64,
    /// Rows that were compared with the manifest.
    pub rows: u64,
    /// How long the proof of the backup took, in milliseconds.
    pub proof: u64,
    /// Where the migrations ended.
    pub target: Vec<SchemaRevision>,
    /// Fingerprint of the schema before the migrations: that of the live one, if nothing about it is lost in a copy.
    pub before: String,
    /// Fingerprint of the schema after them.
    pub after: String,
    /// What the migrations did.
    pub migration: Watched,
    /// The new release on the new schema.
    pub new: Trial,
    /// The release that is live now on the new schema, where there is one.
    pub old: Option<Trial>,
    /// The way through production that follows; the core's word.
    pub lane: Lane,
    /// What speaks against going online, a sentence each; empty if nothing does.
    pub against: Vec<String>,
    /// How long production will stand still, as far as can be told.
    #[serde(default)]
    pub window: Option<Window>,
}

/// A migration as it was watched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// How long it took, in milliseconds.
    pub took: u64,
    /// Transactions that wrote. Each part of a migration that is rolled back on its own counts as well.
    pub transactions: u64,
    /// Locks on tables that were there before, the longest first.
    pub locks: Vec<Held>,
    /// Tables whose file was written anew, with their schema.
    pub rewritten: Vec<String>,
    /// What goes into the log of writes on a server that logs everything, in bytes.
    pub log_bytes: u64,
    /// By how much the database grew, in bytes; less than nothing if it shrank.
    pub growth: i64,
    /// By how much it grew at its largest, in bytes: old and new files exist side by side until the end.
    pub peak: u64,
    /// Indexes that are there and do not work.
    pub invalid: Vec<String>,
    /// Constraints that hold for new rows only.
    pub unvalidated: Vec<String>,
    /// The statement that took longest.
    pub slowest: Option<Statement>,
}

/// A lock on one table in one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The table, with its schema.
    pub table: String,
    /// PostgreSQL's name of the mode, such as `AccessExclusiveLock`.
    pub mode: String,
    /// How long it was held, in milliseconds; what was shorter than one look is 0.
    pub ms: u64,
}

impl Held {
    /// Whether somebody who reads or writes rows may have to wait for it.
    #[must_use]
    pub fn blocks(&self) -> bool {
        // Rows that are written are locked until the end of the transaction, whatever the lock on the table lets through.
        ["RowExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"]
            .contains(&self.mode.as_str())
    }

    /// The mode as PostgreSQL's manual writes it.
    #[must_use]
    pub fn mode_words(&self) -> String {
        let name = self.mode.strip_suffix("Lock").unwrap_or(&self.mode);
        let mut words = String::new();
        for c in name.chars() {
            if c.is_uppercase() && !words.is_empty() {
                words.push(' ');
            }
            words.extend(c.to_uppercase());
        }
        words
    }
}

/// A statement and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Its beginning.
    pub text: String,
    /// In milliseconds.
    pub ms: u64,
}

/// One release on the migrated schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its commit, where that is known.
    pub revision: Option<Sha>,
    /// The smoke command; `None` where none is configured.
    pub smoke: Option<Answer>,
    /// Started and probed; `None` where it is not configured how.
    pub probe: Option<Answer>,
}

impl Trial {
    /// Whether everything was tried, and passed.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        let passed = |answer: &Option<Answer>| matches!(answer, Some(Answer::Passed(_)));
        passed(&self.smoke) && passed(&self.probe)
    }
}

/// What came of trying something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It passed; a sentence about it.
    Passed(String),
    /// It did not; why.
    Failed(String),
}

/// How long production will stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// In milliseconds.
    pub predicted: u64,
    /// Of it, for the copy of the database.
    pub twin: u64,
    /// Of it, for the migrations.
    pub migrate: u64,
    /// Of it, for everything else: stopping, starting, probing.
    pub rest: u64,
}

impl Rehearsal {
    /// What was proven about going back by code alone: this commit lives on this schema.
    #[must_use]
    pub fn compatible(&self) -> Option<(&Sha, &[SchemaRevision])> {
        let old = self.old.as_ref().filter(|old| old.is_proven())?;
        Some((old.revision.as_ref()?, &self.target))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A rehearsal in which nothing speaks against going online.
    pub(crate) fn good(target: &str) -> Rehearsal {
        let passed = || Some(Answer::Passed("it did".into()));
        let trial = |letter: &str| Trial { revision: letter.repeat(40).parse().ok(), smoke: passed(), probe: passed() };
        Rehearsal {
            backup: "2-20261121T031500Z".parse().unwrap(),
            database_bytes: 1 << 30,
            rows: 10,
            proof: 2000,
            target: vec![target.parse().unwrap()],
            before: "before".into(),
            after: "after".into(),
            migration: Watched { took: 700, transactions: 1, ..Watched::default() },
            new: trial("b"),
            old: Some(trial("a")),
            lane: Lane::Fenced,
            against: vec![],
            window: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_written_as_in_the_manual() {
        let held = |mode: &str| Held { table: "t".into(), mode: mode.into(), ms: 0 };
        assert_eq!(held("AccessExclusiveLock").mode_words(), "ACCESS EXCLUSIVE");
        assert_eq!(held("ShareLock").mode_words(), "SHARE");
        let blocking = ["AccessShareLock", "RowShareLock", "ShareUpdateExclusiveLock"];
        assert!(blocking.iter().all(|mode| !held(mode).blocks()) && held("ShareRowExclusiveLock").blocks());
    }

    #[test]
    fn only_what_was_tried_and_passed_is_proven() {
        let good = testing::good("b");
        assert_eq!(good.compatible().map(|(sha, _)| sha.as_str().to_owned()), Some("a".repeat(40)));
        let with = |change: fn(&mut Trial)| {
            let mut one = good.clone();
            change(one.old.as_mut().unwrap());
            one.compatible().is_some()
        };
        assert!(with(|_| ()));
        assert!(!with(|old| old.smoke = None) && !with(|old| old.probe = None) && !with(|old| old.revision = None));
        assert!(!with(|old| old.smoke = Some(Answer::Failed("no".into()))));
    }
}
