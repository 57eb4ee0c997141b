//! What the core tells a step unit, and what the step unit answers.
//!
//! The request is a file that the step opens itself; it holds ids only, each of which is checked while it is
//! read. Commands and paths come from root's configuration, never from here. Only a notice has words as well: those that
//! are sent.

use serde::{Deserialize, Serialize};

use super::journal::{Cause, Invocation, Output};
use super::names::{BackupName, DeploymentId, NoticeName, ReleaseId, SchemaRevision, Sha, UnitName, Wanted};
use super::notice::Message;
use super::slot::Slot;

/// What a step needs to know beyond the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The deployment it works for; 0 where it belongs to none, for their numbers begin at 1.
    pub deployment: DeploymentId,
    /// The release that is made, inspected, probed; the deployment's own number unless an older one is made live, and
    /// 0 where there is no deployment.
    pub release: ReleaseId,
    /// The work.
    pub work: Work,
}

/// The work of each kind of step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Work {
    /// Resolve this, or the configured branch, and export its tree.
    Fetch {
        /// What was asked for.
        wanted: Option<Wanted>,
        /// It must be part of the configured branch.
        #[serde(default)]
        on_branch: bool,
        /// The commit that runs, to tell whether this one descends from it.
        #[serde(default)]
        running: Option<Sha>,
    },
    /// Ask the remote where the configured branch points to.
    Ask,
    /// Find out what a commit would bring, out of a mirror of its own.
    Plan {
        /// What is asked about; the configured branch if nothing is named.
        wanted: Option<Wanted>,
        /// What it is compared with.
        against: Option<Wanted>,
        /// Revisions the database is at; `None` where nobody knows, or nobody asks what is pending.
        current: Option<Vec<SchemaRevision>>,
    },
    /// Find out for the gates what can only be found out outside of the core.
    Gates {
        /// The commit.
        revision: Sha,
    },
    /// Build the exported tree of this commit.
    Build {
        /// The commit.
        revision: Sha,
    },
    /// Seal what was built.
    Seal {
        /// The commit.
        revision: Sha,
    },
    /// Find the pending migrations of the release against these revisions of the live database.
    Inspect {
        /// Revisions the database is at.
        current: Vec<SchemaRevision>,
        /// Whether the release was proven to live on them, known to it or not.
        #[serde(default)]
        proven: bool,
    },
    /// Dump the database.
    Backup {
        /// The release that runs on it now, for the manifest.
        running: Option<ReleaseId>,
        /// Its commit.
        #[serde(default)]
        revision: Option<Sha>,
        /// The deployment whose quarantine is dumped in place of the live database.
        #[serde(default)]
        quarantine: Option<DeploymentId>,
    },
    /// Keep the folders that the manifest of a backup names.
    Folders {
        /// The backup.
        backup: BackupName,
    },
    /// Carry these backups to the store elsewhere.
    Push {
        /// Their names, in this order.
        backups: Vec<BackupName>,
    },
    /// Prove a backup: restore it into a cluster of its own and compare.
    Prove {
        /// The backup.
        backup: BackupName,
    },
    /// Restore a backup into a cluster of its own, which proves it; migrate it there, and try both releases on it.
    Rehearse {
        /// The backup.
        backup: BackupName,
        /// Where the migrations must end; empty where the tool has no names for it.
        target: Vec<SchemaRevision>,
        /// The commit of the release.
        revision: Sha,
        /// The release that is live now, and its commit.
        old: Option<Old>,
    },
    /// Restore a backup into the database that was made for this deployment beside the live one.
    Restore {
        /// The backup.
        backup: BackupName,
    },
    /// Delete these backups.
    Forget {
        /// Their names.
        backups: Vec<BackupName>,
    },
    /// Migrate to exactly these revisions.
    Migrate {
        /// Where to end; empty where the tool has no names for it.
        target: Vec<SchemaRevision>,
        /// Whether the old release is serving meanwhile, so that nobody may wait long for a lock.
        #[serde(default)]
        online: bool,
    },
    /// Probe the release until it is healthy, or, with `bake`, make sure that it stays so.
    Probe {
        /// The units that must run from the release.
        units: Vec<Watched>,
        /// The commit that must answer, where the application tells it.
        revision: Option<Sha>,
        /// The schema's revisions, one of which must answer, where the application tells it; empty: any.
        #[serde(default)]
        schema: Vec<SchemaRevision>,
        /// How long it must stay healthy, in milliseconds; `None`: until it is healthy once.
        bake: Option<u64>,
        /// Ask the release in this slot by its private way in; `None`: ask whoever answers.
        #[serde(default)]
        slot: Option<Slot>,
    },
    /// Ask as users do until the request is gone, and tell what they felt.
    Gauge {
        /// The run before, which felt something else.
        after: Invocation,
    },
    /// Tell somebody about a deployment. Where to, and with which secret, stands in root's configuration.
    Notify {
        /// Whom.
        notice: NoticeName,
        /// What.
        message: Box<Message>,
    },
    /// Delete all releases but these.
    Prune {
        /// Releases to keep.
        keep: Vec<ReleaseId>,
    },
}

impl Request {
    /// Work that belongs to no deployment.
    #[must_use]
    pub fn alone(work: Work) -> Self {
        Self { deployment: DeploymentId(0), release: ReleaseId(0), work }
    }

    /// The deployment it works for, if it does for one.
    #[must_use]
    pub fn for_deployment(&self) -> Option<DeploymentId> {
        Some(self.deployment).filter(|id| id.0 > 0)
    }
}

impl Work {
    /// The kind of step unit that does it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "fetch",
            Self::Ask => "ask",
            Self::Plan { .. } => "plan",
            Self::Gates { .. } => "gates",
            Self::Build { .. } => "build",
            Self::Seal { .. } => "seal",
            Self::Inspect { .. } => "inspect",
            // Who owns the backups deletes them.
            Self::Backup { .. } | Self::Forget { .. } => "backup",
            Self::Folders { .. } => "folders",
            Self::Push { .. } => "offsite",
            Self::Prove { .. } => "prove",
            Self::Rehearse { .. } => "rehearse",
            Self::Restore { .. } => "restore",
            Self::Migrate { .. } => "migrate",
            Self::Probe { .. } => "probe",
            Self::Gauge { .. } => "gauge",
            Self::Notify { .. } => "notify",
            Self::Prune { .. } => "prune",
        }
    }
}

/// The release that is live while another one is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Old {
    /// Its number.
    pub release: ReleaseId,
    /// Its commit, where that is known.
    pub revision: Option<Sha>,
}

/// A unit of the application that a probe looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// Its name.
    pub unit: UnitName,
    /// Its main process, which must run from inside the release; 0 if it has none (a timer).
    pub pid: u32,
}

/// The last line of a step's output: what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// It did what it is for.
    Done(Output),
    /// It did not.
    Failed(Cause),
}
