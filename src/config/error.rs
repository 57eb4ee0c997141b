//! What is wrong with a configuration, said once and completely.

use std::fmt;
use std::path::{Path, PathBuf};

/// The first thing that is wrong with a configuration file: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or the folder if that cannot be read.
    pub file: PathBuf,
    /// The line, counted from 1, if there is one to blame.
    pub line: Option<usize>,
    /// The key from the top of the file, for example `service.units[0].role`; empty if it is the file itself.
    pub key: String,
    /// What is wrong and what to do.
    pub problem: String,
}

impl ConfigError {
    /// Something is wrong with a file as a whole.
    pub(super) fn of_file(file: &Path, problem: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), line: None, key: String::new(), problem: problem.to_string() }
    }
}

impl std::error::Error for ConfigError {}

/// `file:line: key: problem`, as compilers say it, so that editors can jump there.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.problem)
    }
}
