//! Keys of programs: what each may do, and for which application.

use serde::{Deserialize, Serialize};

use super::names::{App, DeploymentId, KeyName, Sha};

/// What a key may do. The words are stored and typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allow {
    /// Ask for a deployment.
    Deploy,
    /// Ask how one ended.
    Read,
}

impl Allow {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Deploy, Self::Read];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Read => "read",
        }
    }
}

impl std::str::FromStr for Allow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|allow| allow.word() == text);
        found.ok_or_else(|| format!("{text:?} is nothing that a key may be allowed: there is deploy and read"))
    }
}

/// A key, without what proves that one has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyView {
    /// Its name.
    pub name: KeyName,
    /// The application it is for.
    pub app: App,
    /// What it may do.
    pub allow: Vec<Allow>,
    /// When it was made, in milliseconds since 1970 (UTC).
    pub created: i64,
    /// When it was last used, likewise.
    pub used: Option<i64>,
}

/// How something that a program asked for is, in the words and numbers of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The number of the request, if it was one.
    pub request: Option<u32>,
    /// The deployment, once there is one.
    pub deployment: Option<DeploymentId>,
    /// "waiting", "superseded", "refused", "running", or the word of the verdict.
    pub state: String,
    /// Whether that will not change any more.
    #[serde(rename = "final")]
    pub ended: bool,
    /// What `tsh-agent deploy` exits with, once it has ended.
    pub exit: Option<u8>,
    /// The commit.
    pub revision: Option<Sha>,
    /// One sentence where there is more to say: what it waits for, or why it failed.
    pub note: String,
    /// The path that answers the same again.
    pub url: String,
}

/// What a program asks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// What it asked for.
    Request(u32),
    /// Any deployment of its application.
    Deployment(DeploymentId),
}
