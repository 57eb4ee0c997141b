//! The keys that encrypted backups need on this server.

use super::{InitError, tell, warn};
use crate::config::Settings;
use crate::init::machine::{self, Change, Failure};
use crate::init::{Generated, credentials};
use crate::steps::sealed;

/// What encrypted backups need here: a key behind the names of objects. An identity is a person's to make.
pub fn make(settings: &Settings) -> Result<(), InitError> {
    if settings.backup.encrypt_to.is_empty() {
        return Ok(());
    }
    let path = credentials::object_key(&settings.app);
    let change = if path.exists() {
        Change::AlreadySo
    } else {
        let random = sealed::new_key().map_err(|error| Failure::new("make a key", error))?;
        machine::write(&Generated::secret(path.clone(), random))?
    };
    tell(change, &path.display().to_string());
    let identity = credentials::identity(&settings.app);
    if !identity.exists() {
        warn(&format!("{} is missing, so no backup can be proven here: tsh-agent backup key", identity.display()));
    }
    Ok(())
}
