//! What the journal says in a form that machines can rely on: one id per event, for `MESSAGE_ID`.
//!
//! `units/catalog/tsh-agent.catalog` explains each to people (`journalctl -x`). An id is a promise: alarms name it.

use crate::model::outcome::Verdict;

/// An event that somebody may want to be woken for, or to find later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A deployment was accepted.
    Accepted,
    /// A release is live and was verified until the end of the bake.
    Deployed,
    /// A deployment failed before production was touched.
    Failed,
    /// A deployment failed, everything was undone, and the former state was verified.
    RolledBack,
    /// A deployment was aborted, everything was undone, and the former state was verified.
    Aborted,
    /// A deployment could not be settled; a person must look.
    NeedsOperator,
    /// A step failed; what follows is in its own entry.
    StepFailed,
    /// The machine went down during a deployment; the links were settled before the application started.
    RecoveredAtBoot,
    /// The door was closed: nginx answers 503.
    DoorClosed,
    /// The door was opened: requests reach the application again.
    DoorOpened,
    /// The database is the one from before the migration; the migrated one is quarantined.
    DatabaseSwappedBack,
    /// A backup could not be taken, or is not good.
    BackupFailed,
    /// A backup has taken the live database's place; that one is quarantined.
    BackupRestored,
    /// Backups could not be carried off-site.
    OffsiteLate,
}

use Event::*;

impl Event {
    /// Every event.
    pub const ALL: [Self; 14] = [
        Accepted,
        Deployed,
        Failed,
        RolledBack,
        Aborted,
        NeedsOperator,
        StepFailed,
        RecoveredAtBoot,
        DoorClosed,
        DoorOpened,
        DatabaseSwappedBack,
        BackupFailed,
        BackupRestored,
        OffsiteLate,
    ];

    /// Its `MESSAGE_ID`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Accepted => "0bd70b71b2de4b3eb21166b8116f0286",
            Deployed => "3eef6db2c2c74b89820186f4f57b168c",
            Failed => "15d07e0b67f3471783eeb033f7a3b360",
            RolledBack => "6e7407a025a74deba652ac05675b6cb5",
            Aborted => "5b690c3dbc9d4b4b8a30812e910e40e0",
            NeedsOperator => "59ffbe3ba4714d8c98591178bdeb67c5",
            StepFailed => "c7f1c2f016274192b6cd3536c3059f30",
            RecoveredAtBoot => "bd75b2d5f84648fb83a44911a99fbcb0",
            DoorClosed => "5ae96ee515c94306bff079b6e4cf5dc7",
            DoorOpened => "3795082c40994a1aba952aec0d52bf3e",
            DatabaseSwappedBack => "f2e0e7ddde9b4ce58ee975664a4eae0c",
            BackupFailed => "4b1c7f0f6d6e4a5c9d0a8e5b2f7c3d19",
            BackupRestored => "8f2d51c6b7f94b0e9a3c4d1e6a7b8c90",
            OffsiteLate => "a2d6c8c7b5f94d0e9b1c5d3e7f204816",
        }
    }
}

impl From<Verdict> for Event {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Deployed => Deployed,
            Verdict::Failed => Failed,
            Verdict::RolledBack => RolledBack,
            Verdict::Aborted => Aborted,
            Verdict::NeedsOperator => NeedsOperator,
        }
    }
}
