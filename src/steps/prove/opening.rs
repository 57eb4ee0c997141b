//! What has to be opened before an encrypted backup can be restored.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::model::backup::Manifest;
use crate::model::journal::Cause;
use crate::steps::backup::GLOBALS;
use crate::steps::files;
use crate::steps::sealed::Keys;

/// Whether what is in the backup can be read here.
pub fn readable(manifest: &Manifest, keys: &Keys) -> Result<(), Cause> {
    if manifest.encrypted_to.is_empty() || keys.open_any(&manifest.encrypted_to) {
        return Ok(());
    }
    let (theirs, ours) = (manifest.encrypted_to.join(", "), keys.recipients().join(", "));
    if keys.is_empty() {
        return Err(Cause::new("it is encrypted, and no identity is here")
            .hint("`sudo tsh-agent backup key` makes one for the backups from then on"));
    }
    Err(Cause::new(format!("it is encrypted for {theirs}, and the identity on this server is that of {ours}"))
        .hint("encrypt_to in [backup] must name it; `sudo tsh-agent backup key` shows it"))
}

/// The roles and settings as psql reads them, where nobody else sees them.
pub fn open_globals(globals: &Path, room: &Path, keys: &Keys) -> Result<PathBuf, Cause> {
    let (mut from, path) = (keys.open(globals).map_err(files::on(globals))?, room.join(GLOBALS));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(files::on(&path))?;
    std::io::copy(&mut from, &mut file).map_err(files::on(globals))?;
    Ok(path)
}
