//! The journal of one deployment: what was intended and what came of it, in order. It is the state;
//! everything else is derived from it.

use serde::{Deserialize, Serialize};

pub use super::felt::Felt;
use super::gates::Judgement;
use super::gates::outside::Outside;
use super::leaving::Leaving;
use super::names::{BackupName, ReleaseId, SchemaRevision, Sha, UnitName};
use super::outcome::Verdict;
use super::plan::Compared;
use super::rehearsal::Rehearsal;
use super::slot::Slot;
use super::step::Step;

pub use super::inspected::{Inspected, Pending, Script};
pub use super::order::{Goal, Order, Restoring};

/// The kernel's id of the current boot.
pub type Boot = String;
/// systemd's id of one run of a unit; empty while the unit is inactive.
pub type Invocation = String;

/// One line of the journal. It is durable before the next thing happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// The boot in which it was written.
    pub boot: Boot,
    /// What.
    pub fact: Fact,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// The deployment was accepted.
    Accepted(Order),
    /// The step is about to have an effect; `before` is what is needed to redo, undo and observe it.
    Intent {
        /// Which step.
        step: Step,
        /// The world before it.
        before: Before,
    },
    /// The step did what it is for.
    Done {
        /// Which step.
        step: Step,
        /// What came out of it.
        out: Output,
    },
    /// The step failed. What it did so far is undone like everything before it.
    Failed {
        /// Which step.
        step: Step,
        /// Why.
        cause: Cause,
    },
    /// The step's effect was looked for after a crash, and has not happened.
    Void {
        /// Which step.
        step: Step,
    },
    /// The core came up and found the deployment open.
    Resumed,
    /// Somebody asked to abort.
    AbortAsked {
        /// Who, as a person reads it.
        by: String,
    },
    /// A newer order came while this one waited for its gates.
    Superseded {
        /// Whose, as a person reads it.
        by: String,
    },
    /// Somebody asked to try the rollback of a deployment again that needs an operator.
    Retried {
        /// Who, as a person reads it.
        by: String,
    },
    /// What users felt from the inspection on.
    Felt(Felt),
    /// It is settled.
    Ended {
        /// How.
        verdict: Verdict,
        /// One sentence where there is more to say.
        note: Option<String>,
    },
}

/// The world before a step: what recovery compares with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Nothing to remember.
    Nothing,
    /// The step unit's last run; only another one counts.
    Unit(Invocation),
    /// What each unit of the application was doing.
    Units(Vec<UnitWas>),
    /// Where the link pointed.
    Link(Option<ReleaseId>),
    /// The database's access list, as `datacl::text`; `None` is PostgreSQL's default.
    Access(Option<String>),
    /// The name of the database that is made or moved.
    Database(String),
    /// The slot that serves, or that stands for the old release.
    Slot(Slot),
}

/// One unit of the application at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitWas {
    /// Its name.
    pub name: UnitName,
    /// Whether it was up.
    pub up: bool,
    /// Its run.
    pub invocation: Invocation,
    /// How often systemd restarted it by itself in this run.
    pub restarts: u32,
}

/// What came out of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Nothing to tell.
    Nothing,
    /// Fetched.
    Fetched(Fetched),
    /// The gates were asked.
    Judged(Judgement),
    /// Asked the remote.
    Asked {
        /// The commit that the configured branch points to there.
        revision: Sha,
    },
    /// What a commit would bring.
    Compared(Box<Compared>),
    /// What was found out for them outside of the core.
    Outside(Box<Outside>),
    /// Built; a sentence about it, for example "46 packages with uv, from cache".
    Built {
        /// The sentence.
        how: String,
    },
    /// Sealed.
    Sealed {
        /// Files and links in the release.
        files: u64,
        /// Their size in bytes.
        bytes: u64,
    },
    /// Inspected.
    Inspected(Inspected),
    /// The pending migrations were rehearsed.
    Rehearsed(Box<Rehearsal>),
    /// Backed up.
    BackedUp {
        /// The name of the backup's folder.
        name: String,
        /// Size on disk in bytes.
        bytes: u64,
        /// SHA-256 of the file, in hexadecimal.
        sha256: String,
    },
    /// The folders of a backup were kept.
    Kept {
        /// Files in them.
        files: u64,
        /// Their size in bytes.
        bytes: u64,
        /// Bytes that no backup before had, as they are stored.
        new_bytes: u64,
        /// How many did not hold still while they were read.
        restless: usize,
    },
    /// A backup was proven.
    Proven {
        /// The backup.
        backup: BackupName,
        /// How many tables were compared.
        tables: usize,
        /// How many rows they have.
        rows: u64,
    },
    /// A backup is as it was written, and what is in it cannot be looked at here.
    Closed {
        /// The backup.
        backup: super::names::BackupName,
        /// Why.
        why: String,
    },
    /// Backups were deleted.
    Forgotten {
        /// Their names.
        backups: Vec<BackupName>,
    },
    /// The units are up, with these runs.
    Up(Vec<UnitWas>),
    /// The release is the good one, and the slot of the old one is stopped.
    Settled {
        /// Requests and connections of the old slot that had not ended by the drain deadline.
        cut_off: u64,
    },
    /// What users felt.
    Felt(Felt),
    /// Sessions that were ended at the fence, as "role at address".
    Fenced {
        /// The sessions.
        ended: Vec<String>,
    },
    /// The twin was made.
    Twinned {
        /// Its name.
        database: String,
        /// What it sees, as `pg_current_snapshot()` tells it.
        #[serde(default)]
        snapshot: Option<String>,
    },
    /// A backup was restored beside the live database, and is what its manifest says.
    Loaded {
        /// The name of the database.
        database: String,
        /// How many tables were compared.
        tables: usize,
        /// How many rows they have.
        rows: u64,
    },
    /// The restored database is live.
    Swapped {
        /// The name under which the one is kept that was live.
        quarantine: String,
    },
    /// What only the database has that was kept aside.
    Counted {
        /// Its name.
        quarantine: String,
        /// Its tables.
        tables: Vec<Leaving>,
    },
    /// The schema is at these revisions now.
    Migrated {
        /// Revisions.
        heads: Vec<SchemaRevision>,
    },
    /// The probes passed; a sentence about it.
    Probed {
        /// The sentence.
        how: String,
    },
    /// What was decided about the database.
    Restored(Restored),
    /// What was deleted.
    Pruned {
        /// Releases.
        releases: Vec<ReleaseId>,
    },
}

/// One commit, resolved for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fetched {
    /// The commit; from here on nothing else is used.
    pub revision: Sha,
    /// Its first line.
    pub subject: String,
    /// Its author's name.
    pub author: String,
    /// Whether it has the revision that runs among its ancestors; `None` where nothing runs, or the repository does not
    /// have that revision.
    #[serde(default)]
    pub descends: Option<bool>,
}

/// What a rollback did about the database, by the cases of the design.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restored {
    /// Case 0: the schema is as it was, so only code moves back.
    Unchanged,
    /// Case 1: the schema stays at these revisions, which the old release was proven on; only code moves back.
    Ahead {
        /// The revisions.
        revisions: Vec<SchemaRevision>,
    },
    /// Case 2: the twin was swapped back, the failed database is kept aside under this name.
    SwappedBack {
        /// The quarantine.
        quarantine: String,
    },
    /// Case 3: the schema has changed and there is nothing to swap back to; a person must look.
    HandedOver,
    /// The database from before a restore is live again; the restored one is kept aside under this name.
    Reverted {
        /// The restored database.
        aside: String,
    },
}

/// Why a step failed: for people first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// One sentence: what is wrong, and where.
    pub what: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
    /// The last lines of the output that show it.
    pub tail: Vec<String>,
    /// The unit and the run in which it happened, for the journal.
    pub unit: Option<(String, Invocation)>,
    /// It says nothing about what was looked at: somebody killed the one who looked.
    #[serde(default)]
    pub killed: bool,
}

impl Cause {
    /// A cause of one sentence.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, tail: Vec::new(), unit: None, killed: false }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The entries of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Journal(pub Vec<Entry>);

impl Fact {
    /// Whether it is an intent to take `step`.
    #[must_use]
    pub fn intends(&self, step: Step) -> bool {
        matches!(self, Self::Intent { step: s, .. } if *s == step)
    }

    /// The step an entry is about.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        match self {
            Self::Intent { step, .. } | Self::Done { step, .. } | Self::Failed { step, .. } | Self::Void { step } => {
                Some(*step)
            }
            Self::Accepted(_)
            | Self::Resumed
            | Self::Retried { .. }
            | Self::AbortAsked { .. }
            | Self::Felt(_)
            | Self::Superseded { .. }
            | Self::Ended { .. } => None,
        }
    }
}
