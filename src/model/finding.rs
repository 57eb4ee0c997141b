//! What `tsh-agent check` finds: a rule, what is true, and the command that mends it.

use serde::{Deserialize, Serialize};

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Not looked at, because this user may not, or because it cannot be done without effects. Never guessed.
    NotChecked,
    /// It works, but not as well as it should.
    Warning,
    /// A deployment, a rollback or the application will fail on it.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about, in a word or two.
    pub area: String,
    /// How it is.
    pub level: Level,
    /// One sentence.
    pub what: String,
    /// The command that mends it, or what a person must do.
    pub mend: Option<String>,
}

impl Finding {
    /// As it should be.
    #[must_use]
    pub fn ok(area: &str, what: impl Into<String>) -> Self {
        Self::new(Level::Ok, area, what)
    }

    /// Not looked at.
    #[must_use]
    pub fn not_checked(area: &str, what: impl Into<String>) -> Self {
        Self::new(Level::NotChecked, area, what)
    }

    /// Not as good as it should be.
    #[must_use]
    pub fn warning(area: &str, what: impl Into<String>) -> Self {
        Self::new(Level::Warning, area, what)
    }

    /// In the way.
    #[must_use]
    pub fn bad(area: &str, what: impl Into<String>) -> Self {
        Self::new(Level::Bad, area, what)
    }

    /// The same with what mends it.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// Of this level.
    #[must_use]
    pub fn new(level: Level, area: &str, what: impl Into<String>) -> Self {
        Self { area: area.to_owned(), level, what: what.into(), mend: None }
    }
}
