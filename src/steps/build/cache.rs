//! What outlives a build: downloaded packages. Tools do not make them durable, so after a power cut in the middle of
//! a build they may be empty files that would be installed without complaint.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use crate::model::journal::Cause;
use crate::steps::files::{self, on};
use crate::steps::output::say;

/// The cache's folder in the build's area.
pub const NAME: &str = ".cache";
/// Tells in which boot the cache is being written.
const WRITING: &str = "writing";

/// Begins to use the cache; drops it if the machine went down while it was being written.
pub fn begin(cache: &Path) -> Result<(), Cause> {
    let mark = cache.join(WRITING);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if std::fs::read_to_string(&mark).is_ok_and(|before| before != boot) {
        say("the server went down during a build: the cache is made anew");
        files::remove(cache)?;
    }
    std::fs::create_dir_all(cache.join("home")).map_err(on(cache))?;
    let mut file = File::create(&mark).map_err(on(&mark))?;
    file.write_all(boot.as_bytes()).and_then(|()| file.sync_all()).map_err(on(&mark))?;
    files::sync_dir(cache)
}

/// Everything in the cache is whole.
pub fn end(cache: &Path) -> Result<(), Cause> {
    files::sync_all(cache)?;
    files::remove(&cache.join(WRITING))
}
