//! How a deployment ended, in words, numbers and exit codes that agree everywhere.

use serde::{Deserialize, Serialize};

/// The final word about a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The release is live and was verified until the end of the bake.
    Deployed,
    /// It failed before production was touched.
    Failed,
    /// It failed, everything was undone, and the former state was verified.
    RolledBack,
    /// It was aborted, everything was undone, and the former state was verified.
    Aborted,
    /// A gate said no before production was touched.
    Refused,
    /// A newer order came while it waited for its gates.
    Superseded,
    /// It could not be settled; a person must look.
    NeedsOperator,
}

impl Verdict {
    /// All verdicts, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::Deployed,
        Self::Failed,
        Self::RolledBack,
        Self::Aborted,
        Self::Refused,
        Self::Superseded,
        Self::NeedsOperator,
    ];

    /// The word used in output, journal and history.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::RolledBack => "rolled-back",
            Self::Aborted => "aborted",
            Self::Refused => "refused",
            Self::Superseded => "superseded",
            Self::NeedsOperator => "needs-operator",
        }
    }

    /// What the client exits with.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Deployed => Exit::Good,
            Self::Failed => Exit::Untouched,
            Self::RolledBack => Exit::RolledBack,
            // A newer order is what ended it, as an abort would have.
            Self::Aborted | Self::Superseded => Exit::Aborted,
            Self::Refused => Exit::Refused,
            Self::NeedsOperator => Exit::NeedsOperator,
        }
    }
}

/// Exit codes of the client. The man page lists the same table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Deployed and verified, or nothing to do.
    Good = 0,
    /// Failed before production was touched.
    Untouched = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// Failed, rolled back and verified.
    RolledBack = 3,
    /// Needs an operator.
    NeedsOperator = 4,
    /// Locked or already running.
    Busy = 5,
    /// Refused by a gate.
    Refused = 6,
    /// Lost the daemon; the result is unknown.
    Unknown = 8,
    /// Aborted and rolled back.
    Aborted = 9,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        (exit as u8).into()
    }
}
