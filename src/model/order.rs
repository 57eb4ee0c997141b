//! What somebody asked for, as it was accepted.

use serde::{Deserialize, Serialize};

use super::audit::Who;
use super::gates::Override;
use super::names::{BackupName, ReleaseId, SchemaRevision, Sha};
use super::trigger::Trigger;

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What to make live.
    pub goal: Goal,
    /// The release that was live when the order was accepted.
    pub from: Option<ReleaseId>,
    /// Its revision.
    pub from_revision: Option<Sha>,
    /// The revision that is made live, where it is known from the start: of a kept release, or pinned by a trigger.
    pub revision: Option<Sha>,
    /// Who asked, as a person reads it.
    pub by: String,
    /// Deploy even what is live already.
    pub force: bool,
    /// One of two slots serves, so that the new release can be started in the other.
    #[serde(default)]
    pub slots: bool,
    /// What caused it.
    #[serde(default)]
    pub trigger: Trigger,
    /// Who asked, as the machine knows it.
    #[serde(default)]
    pub who: Who,
    /// Gates that are passed whatever they answer.
    #[serde(default)]
    pub overrides: Vec<Override>,
}

/// What to make live.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// A revision of the repository; the configured branch if none is named.
    Revision(Option<super::names::Wanted>),
    /// A release that is kept on this server.
    Release(ReleaseId),
    /// A backup, in place of the live database.
    Restore(Restoring),
}

/// Which backup is to be live, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// The backup.
    pub backup: BackupName,
    /// The release that is to run on it: the live one, unless another was named.
    pub release: ReleaseId,
    /// The schema's revisions in it.
    pub schema: Vec<SchemaRevision>,
    /// The release that ran when it was taken.
    pub running: Option<ReleaseId>,
    /// What it sees, as `pg_current_snapshot()` told it; `None` if it was taken on another server.
    pub snapshot: Option<String>,
}
