//! How it is told that a release is healthy.

use std::collections::BTreeMap;
use std::time::Duration;

/// How to tell that a release is healthy.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbePlan {
    /// The probes; all must pass.
    pub probes: Vec<Probe>,
    /// Time from the start of the units until the probes must have passed.
    pub deadline: Duration,
    /// Time between two rounds.
    pub interval: Duration,
    /// Rounds that must pass in a row.
    pub successes: u32,
    /// How long the release must stay healthy before it is the good one.
    pub bake: Duration,
    /// What users ask, as a rule through nginx, where it is not the first HTTP probe.
    pub users: Option<String>,
}

impl ProbePlan {
    /// What is asked to measure what users feel; nothing for an application without HTTP.
    #[must_use]
    pub fn users(&self) -> Option<&str> {
        let first = self.probes.iter().find_map(|probe| match probe {
            Probe::Http(http) => Some(http.url.as_str()),
            _ => None,
        });
        self.users.as_deref().or(first)
    }
}

/// One probe.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// An HTTP request to the application itself, not through nginx.
    Http(Box<Http>),
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: String,
        /// Time for it.
        timeout: Duration,
    },
    /// A command of root's, run as the application's user in the release's working directory.
    Command {
        /// The command.
        argv: Vec<String>,
        /// Time for it.
        timeout: Duration,
    },
}

/// An HTTP probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// `http://127.0.0.1:8000/health`.
    pub url: String,
    /// The `Host` header, if not the address's own.
    pub host: Option<String>,
    /// The status that must come back.
    pub status: u16,
    /// Text that the body must contain.
    pub body: Option<String>,
    /// JSON pointer → value that must be there.
    pub json: BTreeMap<String, serde_json::Value>,
    /// Header → value that must be there.
    pub headers: BTreeMap<String, String>,
    /// JSON pointer to the revision the process runs, which must be the intended one.
    pub revision: Option<String>,
    /// JSON pointer to the schema revision, which must be what the release wants.
    pub schema: Option<String>,
    /// Time for one request.
    pub timeout: Duration,
}
