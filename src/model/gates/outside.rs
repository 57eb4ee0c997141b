//! What a step unit found out beyond this machine, and what the release was signed with.

use serde::{Deserialize, Serialize};

use crate::model::names::Sha;

/// What came of asking somebody else. Nothing of it is ever taken for a yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told<T> {
    /// The answer.
    Known(T),
    /// No answer now; another time there may be one.
    NotNow(String),
    /// No answer before somebody changes something.
    Never(String),
}

/// The outside of one revision; what is not configured was not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outside {
    /// Every run of every check on it.
    pub checks: Option<Told<Vec<Run>>>,
    /// Whether every new commit is signed.
    pub signature: Option<Signed>,
    /// What the other environment says.
    pub promotion: Option<Told<Elsewhere>>,
}

/// One run of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The check's name.
    pub name: String,
    /// Who runs it: two of the same name by different ones are two checks.
    pub source: String,
    /// How it is.
    pub state: RunState,
    /// When it was made, in milliseconds since 1970 (UTC): the newest run of a check decides.
    pub at: i64,
    /// The forge's number; it decides between runs of one moment.
    pub id: u64,
}

/// How a run of a check is, whatever the forge calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It has ended well.
    Success,
    /// It has ended, and found something.
    Failure,
    /// It has not ended, or nobody has begun it.
    Pending,
    /// Somebody has ended it before its time.
    Cancelled,
    /// It was left out: nothing was checked.
    Skipped,
    /// It has ended, and has no opinion.
    Neutral,
}

impl RunState {
    /// The word people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Pending => "pending",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Neutral => "neutral",
        }
    }
}

/// Whether every new commit carries a signature of somebody who may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signed {
    /// This many do, and no other is new.
    Good {
        /// How many.
        commits: usize,
        /// Who has signed the last one.
        by: String,
    },
    /// At least one does not.
    Bad {
        /// Which, and why.
        why: String,
    },
}

/// Another environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// What it runs.
    pub revision: Option<Sha>,
    /// What is wrong with it; `None`: it is well.
    pub unwell: Option<String>,
    /// Since when it runs that, in milliseconds since 1970 (UTC), where it tells.
    pub since: Option<i64>,
}
