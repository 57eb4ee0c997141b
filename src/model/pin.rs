//! A release that is kept until somebody says otherwise.

use serde::{Deserialize, Serialize};

use super::names::ReleaseId;

/// The pin of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The release.
    pub release: ReleaseId,
    /// Why; empty where nobody said.
    pub reason: String,
    /// Who, as a person reads it.
    pub by: String,
    /// Since when, in milliseconds since 1970 (UTC).
    pub at: i64,
}
