//! Secrets of root's: files that PID 1 reads and hands to one kind of step, and nobody else can read.

use std::path::{Path, PathBuf};

use super::Generated;
use crate::config::Settings;
use crate::model::names::App;
use crate::paths;

/// The identity that opens the application's backups on this server.
#[must_use]
pub fn identity(app: &App) -> PathBuf {
    folder().join(format!("{app}.age"))
}

/// The key behind the names of encrypted objects.
#[must_use]
pub fn object_key(app: &App) -> PathBuf {
    folder().join(format!("{app}.object-key"))
}

fn folder() -> PathBuf {
    Path::new(paths::CONFIG).join("credentials")
}

/// The lines with which a step gets the identity, where backups are encrypted. A server without one still makes backups:
/// the second line stands in for a file that is not there.
#[must_use]
pub fn identity_lines(settings: &Settings) -> String {
    if settings.backup.encrypt_to.is_empty() {
        return String::new();
    }
    let path = identity(&settings.app);
    format!("LoadCredential=identity:{}\nSetCredential=identity:\\n\n", path.display())
}

/// The line with which the folders' step gets the key, where backups are encrypted.
#[must_use]
pub fn object_key_line(settings: &Settings) -> Option<String> {
    let path = object_key(&settings.app);
    let closed = !settings.backup.encrypt_to.is_empty();
    closed.then(|| format!("LoadCredential=object-key:{}\n", path.display()))
}

impl Generated {
    /// A file that nobody but root reads.
    #[must_use]
    pub fn secret(path: PathBuf, text: String) -> Self {
        Self { path, text, mode: 0o600 }
    }
}
