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
    /// A gate said no before production was touched.
    Refused,
    /// A newer order came while a deployment waited for its gates.
    Superseded,
    /// A deployment waits for a gate.
    Waiting,
    /// An entry of the audit, and its hash.
    Audited,
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
    /// A person keeps people out: nginx answers 503 until that is ended.
    MaintenanceOn,
    /// A person lets people in again.
    MaintenanceOff,
    /// The database is the one from before the migration; the migrated one is quarantined.
    DatabaseSwappedBack,
    /// A backup could not be taken, or is not good.
    BackupFailed,
    /// Somebody said that something was pushed, and it will not be forgotten.
    Pushed,
    /// A request from the network was refused.
    RequestRefused,
    /// A backup has taken the live database's place; that one is quarantined.
    BackupRestored,
    /// Backups could not be carried off-site.
    OffsiteLate,
    /// Somebody could not be told of a deployment, for so long that it is given up.
    NoticeGivenUp,
}

use Event::*;

impl Event {
    /// Every event.
    pub const ALL: [Self; 23] = [
        Accepted,
        Deployed,
        Failed,
        RolledBack,
        Aborted,
        Refused,
        Superseded,
        Waiting,
        Audited,
        NeedsOperator,
        StepFailed,
        RecoveredAtBoot,
        DoorClosed,
        DoorOpened,
        MaintenanceOn,
        MaintenanceOff,
        DatabaseSwappedBack,
        BackupFailed,
        Pushed,
        RequestRefused,
        BackupRestored,
        OffsiteLate,
        NoticeGivenUp,
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
            Refused => "6e0d3ff2c1b44a0c9f5fb1e2ad7a4b66",
            Superseded => "a3c1de4fd0b7465f8b1c9f6e55a02c78",
            Waiting => "c5b7f0a2f93c4d2e8d0c6a7be41f9d13",
            Audited => "d20f3f0b6a584b0a9f3e5a7c1be84d95",
            NeedsOperator => "59ffbe3ba4714d8c98591178bdeb67c5",
            StepFailed => "c7f1c2f016274192b6cd3536c3059f30",
            RecoveredAtBoot => "bd75b2d5f84648fb83a44911a99fbcb0",
            DoorClosed => "5ae96ee515c94306bff079b6e4cf5dc7",
            DoorOpened => "3795082c40994a1aba952aec0d52bf3e",
            MaintenanceOn => "3c9e5f7a1d2b4a868e0c7b6f94d1a253",
            MaintenanceOff => "a7d40e91c6f84b3fb25d8e1f03c97b64",
            DatabaseSwappedBack => "f2e0e7ddde9b4ce58ee975664a4eae0c",
            BackupFailed => "4b1c7f0f6d6e4a5c9d0a8e5b2f7c3d19",
            Pushed => "c2b5d0c64f8b4f41a7d8e1c93b6f2a57",
            RequestRefused => "8d0f6a3be9174c2fa5c1d7402be8913c",
            BackupRestored => "8f2d51c6b7f94b0e9a3c4d1e6a7b8c90",
            OffsiteLate => "a2d6c8c7b5f94d0e9b1c5d3e7f204816",
            NoticeGivenUp => "8d2f6c1e3b5a47f0a94e7d60c5b8f213",
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
            Verdict::Refused => Refused,
            Verdict::Superseded => Superseded,
            Verdict::NeedsOperator => NeedsOperator,
        }
    }
}
