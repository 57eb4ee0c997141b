//! The way a deployment takes through production.

use serde::{Deserialize, Serialize};

/// How the switch is done, chosen once by the inspection and then fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// No pending migrations: only code changes.
    Code,
    /// Pending migrations behind a closed door and a fenced database, with a twin to go back to.
    Fenced,
    /// Stop, back up, migrate, start. For servers without door and roles; weaker, never chosen silently.
    Stop,
}

impl Lane {
    /// The word people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Code => "code only",
            Self::Fenced => "fenced",
            Self::Stop => "stop",
        }
    }
}
