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
    /// Files and folders, below the working directory, that all this was read from; none where that is not known.
    #[serde(default)]
    pub places: Vec<String>,
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
            places: Vec::new(),
        }
    }

    /// What an inspection of a release with the same migrations as this one would find on this schema, where that is
    /// certain: the schema is what they lead to.
    #[must_use]
    pub fn again(&self, current: &[SchemaRevision]) -> Option<Self> {
        let sorted = |revisions: &[SchemaRevision]| {
            let mut revisions = revisions.to_vec();
            revisions.sort();
            revisions
        };
        if self.ahead || self.places.is_empty() || sorted(current) != sorted(&self.target) {
            return None;
        }
        let nothing = Self::nothing(Lane::Code);
        Some(Self {
            current: current.to_vec(),
            lane: Lane::Code,
            pending: Vec::new(),
            fingerprint: nothing.fingerprint,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revisions(names: &[&str]) -> Vec<SchemaRevision> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn only_what_led_to_this_very_schema_is_known_again() {
        let pending = Pending { revision: "b".parse().unwrap(), title: String::new(), nontransactional: false };
        let before = Inspected {
            current: revisions(&["a"]),
            target: revisions(&["b", "c"]),
            pending: vec![pending],
            fingerprint: Some("f".into()),
            places: vec!["alembic.ini".into()],
            ..Inspected::nothing(Lane::Fenced)
        };
        let again = before.again(&revisions(&["c", "b"])).unwrap();
        assert_eq!((again.lane, again.pending.len(), again.fingerprint.clone()), (Lane::Code, 0, None));
        assert_eq!(again.current, revisions(&["c", "b"]));
        assert_eq!(before.again(&revisions(&["a"])), None);
        assert_eq!(before.again(&revisions(&["b"])), None);
        assert_eq!(Inspected { ahead: true, ..before.clone() }.again(&revisions(&["b", "c"])), None);
        assert_eq!(Inspected { places: Vec::new(), ..before }.again(&revisions(&["b", "c"])), None);
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
