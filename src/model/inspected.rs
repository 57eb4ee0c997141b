//! What the inspection finds out about a release and the database, before anything happens.

use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::names::SchemaRevision;

/// What the inspection found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspected {
    /// The lane.
    pub lane: Lane,
    /// Revisions the database is at.
    pub current: Vec<SchemaRevision>,
    /// Revisions the release wants.
    pub target: Vec<SchemaRevision>,
    /// Pending migrations, oldest first.
    pub pending: Vec<Pending>,
    /// Fingerprint of the schema before anything happened; `None` without a database.
    pub fingerprint: Option<String>,
    /// Whether a backup is made before pending migrations.
    #[serde(default = "yes")]
    pub backup: bool,
    /// Whether pending migrations are rehearsed first.
    #[serde(default)]
    pub rehearse: bool,
    /// Every migration of the release that has a file.
    #[serde(default)]
    pub scripts: Vec<Script>,
    /// Whether the release does not know the schema as it is, and was proven to live on it.
    #[serde(default)]
    pub ahead: bool,
}

fn yes() -> bool {
    true
}

impl Inspected {
    /// Nothing is pending, and nothing is known of a database.
    #[must_use]
    pub fn nothing(lane: Lane) -> Self {
        Self {
            lane,
            current: Vec::new(),
            target: Vec::new(),
            pending: Vec::new(),
            fingerprint: None,
            backup: true,
            rehearse: false,
            scripts: Vec::new(),
            ahead: false,
        }
    }
}

/// The file of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Its revision.
    pub revision: SchemaRevision,
    /// Its name.
    pub file: String,
    /// SHA-256 of its text, in hexadecimal.
    pub sha256: String,
}

/// A migration that has not run yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Its revision.
    pub revision: SchemaRevision,
    /// Its title.
    pub title: String,
    /// Whether it may leave half of its work behind when it fails.
    pub nontransactional: bool,
}
