//! What the core does about backups outside of deployments: take one, prove one, delete what is no longer kept.
//!
//! A care is one record that is written whole at each change; it is small, each of its parts can be done again, and
//! nothing has to be undone.

use serde::{Deserialize, Serialize};

use super::journal::{Boot, Cause, Invocation};
use super::names::{App, BackupName, DeploymentId};

/// What is asked. The stored names are a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Take a backup and prove it.
    Backup,
    /// The same, and then delete what is no longer kept.
    Daily,
    /// Prove a backup.
    Verify,
    /// Carry to the store elsewhere what is not there.
    Push,
    /// Delete what is no longer kept.
    Prune,
    /// Take a backup of a database that was set aside, and prove it, so that the database may go.
    Quarantine,
}

/// A part of it: one run of a step unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Take a backup.
    Backup,
    /// Keep its folders.
    Folders,
    /// Prove it.
    Prove,
    /// Carry them off-site.
    Push,
    /// Delete backups.
    Prune,
}

impl Kind {
    /// Its parts, in order. Deletion is last, when there is a proven one to stand on.
    #[must_use]
    pub fn parts(self) -> &'static [Part] {
        match self {
            Self::Backup => &[Part::Backup, Part::Folders, Part::Prove, Part::Push],
            Self::Daily => &[Part::Backup, Part::Folders, Part::Prove, Part::Push, Part::Prune],
            Self::Quarantine => &[Part::Backup, Part::Prove],
            Self::Verify => &[Part::Prove],
            Self::Push => &[Part::Push],
            Self::Prune => &[Part::Prune],
        }
    }

    /// As in "a … of erp is running".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Backup | Self::Daily => "backup",
            Self::Quarantine => "backup of a quarantine",
            Self::Verify => "proof of a backup",
            Self::Push => "carrying of backups off-site",
            Self::Prune => "pruning of backups",
        }
    }
}

impl Part {
    /// The word people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Folders => "folders",
            Self::Prove => "prove",
            Self::Push => "push",
            Self::Prune => "prune",
        }
    }

    /// The kind of step unit that does it. Who owns the backups deletes them.
    #[must_use]
    pub fn unit_kind(self) -> &'static str {
        match self {
            Self::Backup | Self::Prune => "backup",
            Self::Folders => "folders",
            Self::Prove => "prove",
            Self::Push => "offsite",
        }
    }

    /// Whether no deployment may run beside it: it reads the live database, or uses the unit that a deployment uses.
    /// The others touch nothing of production, and are stopped when a deployment begins.
    #[must_use]
    pub fn is_exclusive(self) -> bool {
        !matches!(self, Self::Folders | Self::Prove | Self::Push)
    }
}

/// Everything about one care.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Care {
    /// What was asked.
    pub kind: Kind,
    /// Who asked, as a person reads it.
    pub by: String,
    /// The boot in which it was asked: it does not outlive a restart of the machine.
    pub boot: Boot,
    /// The backup it is about, once there is one.
    pub backup: Option<BackupName>,
    /// Parts that the application has no use for.
    #[serde(default)]
    pub without: Vec<Part>,
    /// The deployment whose quarantine is backed up, in place of the live database.
    #[serde(default)]
    pub quarantine: Option<DeploymentId>,
    /// Its parts so far.
    pub parts: Vec<Progress>,
}

/// How far a part is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Which.
    pub part: Part,
    /// "running", "done", "failed", "skipped", or "late": failed, and tried again the next time.
    pub state: String,
    /// When it began, in milliseconds since 1970 (UTC).
    pub began: i64,
    /// How long it took, in milliseconds, once it has ended.
    pub took: Option<i64>,
    /// What came of it, or what it says just now, in a few words.
    pub detail: String,
    /// The unit's run before this one; only another one counts.
    pub before: Invocation,
    /// Why it failed.
    pub cause: Option<Cause>,
}

impl Care {
    /// Newly asked.
    #[must_use]
    pub fn new(kind: Kind, by: String, boot: Boot, backup: Option<BackupName>) -> Self {
        Self { kind, by, boot, backup, without: Vec::new(), quarantine: None, parts: Vec::new() }
    }

    /// The part that is next, or that is being done; `None`: it is over.
    #[must_use]
    pub fn next(&self) -> Option<Part> {
        if self.failure().is_some() {
            return None;
        }
        let over = |part: &&Part| !self.parts.iter().any(|done| done.part == **part && done.state != "running");
        self.kind.parts().iter().filter(|part| !self.without.contains(part)).find(over).copied()
    }

    /// The part that was begun and has not ended.
    #[must_use]
    pub fn open(&self) -> Option<&Progress> {
        self.parts.last().filter(|part| part.state == "running")
    }

    /// What made it fail.
    #[must_use]
    pub fn failure(&self) -> Option<&Progress> {
        self.parts.iter().find(|part| part.state == "failed")
    }

    /// What has to wait for the next time, and makes nothing fail: a backup is one without being off-site.
    #[must_use]
    pub fn late(&self) -> Option<&Progress> {
        self.parts.iter().find(|part| part.state == "late")
    }

    /// "running", "done" or "failed".
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.failure(), self.next()) {
            (Some(_), _) => "failed",
            (None, Some(_)) => "running",
            (None, None) => "done",
        }
    }
}

/// A care as the interface shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CareView {
    /// Its number.
    pub id: u32,
    /// The application.
    pub app: App,
    /// When it was asked for, in milliseconds since 1970 (UTC).
    pub asked: i64,
    /// "running", "done" or "failed".
    pub state: String,
    /// The rest.
    pub care: Care,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(kind: Kind, parts: &[(Part, &str)]) -> Care {
        let part = |(part, state): &(Part, &str)| Progress {
            part: *part,
            state: (*state).to_owned(),
            began: 0,
            took: None,
            detail: String::new(),
            before: String::new(),
            cause: None,
        };
        Care { parts: parts.iter().map(part).collect(), ..Care::new(kind, "olga".into(), "b".into(), None) }
    }

    #[test]
    fn one_part_after_another_and_none_after_a_failure() {
        use Part::*;
        type Case = (Kind, &'static [(Part, &'static str)], Option<Part>, &'static str);
        let cases: [Case; 10] = [
            (Kind::Daily, &[], Some(Backup), "running"),
            (Kind::Daily, &[(Backup, "running")], Some(Backup), "running"),
            (Kind::Daily, &[(Backup, "done")], Some(Folders), "running"),
            (Kind::Daily, &[(Backup, "done"), (Folders, "done")], Some(Prove), "running"),
            (Kind::Daily, &[(Backup, "done"), (Prove, "failed")], None, "failed"),
            (Kind::Daily, &[(Backup, "done"), (Folders, "done"), (Prove, "done")], Some(Push), "running"),
            (
                Kind::Daily,
                &[(Backup, "done"), (Folders, "done"), (Prove, "done"), (Push, "late")],
                Some(Prune),
                "running",
            ),
            (
                Kind::Daily,
                &[(Backup, "done"), (Folders, "done"), (Prove, "done"), (Push, "done"), (Prune, "skipped")],
                None,
                "done",
            ),
            (Kind::Backup, &[(Backup, "done"), (Folders, "done"), (Prove, "done"), (Push, "late")], None, "done"),
            (Kind::Verify, &[], Some(Prove), "running"),
        ];
        for (kind, parts, next, state) in cases {
            let care = with(kind, parts);
            assert_eq!((care.next(), care.state()), (next, state), "{parts:?}");
        }
    }

    #[test]
    fn what_the_application_has_no_use_for_is_left_out() {
        let mut care = with(Kind::Daily, &[(Part::Backup, "done")]);
        care.without = vec![Part::Folders];
        assert_eq!(care.next(), Some(Part::Prove));
    }

    #[test]
    fn the_stored_name_is_the_word() {
        for part in [Part::Backup, Part::Folders, Part::Prove, Part::Push, Part::Prune] {
            assert_eq!(serde_json::to_value(part).unwrap(), part.word());
        }
    }
}
