//! What users felt of a deployment.

use serde::{Deserialize, Serialize};

/// What somebody felt who asked ten times a second, as users do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Felt {
    /// Requests.
    pub requests: u64,
    /// Those without an answer, or with one of 500 and more: a closed door is 503.
    pub failed: u64,
    /// Milliseconds from the first failed request of each row of them to the next good one.
    pub down_ms: u64,
    /// The slowest good answer, in milliseconds.
    pub slowest_ms: u64,
}
