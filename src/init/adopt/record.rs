//! What was begun of an adoption: root's file, whole at every instant, written before each effect.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Effect;
use crate::init::Generated;
use crate::init::machine::{self, Failure};
use crate::model::names::{App, ReleaseId, Sha};

/// Beside the settings, but not among them: it outlives both them and the package.
const FOLDER: &str = "/etc/tsh-agent/adopted";

/// An adoption, as far as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The application.
    pub app: App,
    /// The checkout.
    pub path: PathBuf,
    /// Its commit, and that commit's first line.
    pub revision: Sha,
    /// The first line of its message.
    pub subject: String,
    /// Everything, in order.
    pub effects: Vec<Effect>,
    /// How many were begun and not taken back.
    pub begun: usize,
    /// Whether it is being taken back.
    pub undoing: bool,
    /// The number of the release, once it has one.
    pub release: Option<ReleaseId>,
}

impl Record {
    /// Where it stands.
    #[must_use]
    pub fn path_of(app: &App) -> PathBuf {
        format!("{FOLDER}/{app}.json").into()
    }

    /// The one of this application.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn read(app: &App) -> Result<Option<Self>, Failure> {
        let path = Self::path_of(app);
        let failed = |error: io::Error| Failure::new(format!("read {}", path.display()), error);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Every application that has one.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn all() -> Result<Vec<App>, Failure> {
        let entries = match std::fs::read_dir(FOLDER) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| Failure::new(format!("read {FOLDER}"), error))?,
        };
        let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
        Ok(names.filter_map(|name| name.to_str()?.strip_suffix(".json")?.parse().ok()).collect())
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self) -> Result<(), Failure> {
        let path = Self::path_of(&self.app);
        let text = serde_json::to_string_pretty(self).map_err(|error| Failure::new("record", error))?;
        let mut file = Generated::new(path, text + "\n");
        // The environment is in it.
        file.mode = 0o600;
        machine::write(&file).map(drop)
    }

    /// Forgets it: everything was taken back.
    ///
    /// # Errors
    /// It cannot be deleted.
    pub fn forget(&self) -> Result<(), Failure> {
        machine::remove(&Self::path_of(&self.app))
    }
}
