//! Why a request brings nothing.

use hyper::StatusCode;

/// A refusal: what the sender is told, and the journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refused {
    /// The status of the answer.
    pub status: StatusCode,
    /// One sentence. Nothing of the request is in it but names that were checked.
    pub why: String,
}

impl Refused {
    /// A refusal with this status.
    #[must_use]
    pub fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// The request is not one that this face understands.
    #[must_use]
    pub fn bad(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// Whoever sends it may not.
    #[must_use]
    pub fn forbidden(why: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, why)
    }
}
