//! Deletes backups that retention no longer keeps.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use super::{MANIFEST, PART, sweep};
use crate::model::backup::Manifest;
use crate::model::journal::{Cause, Output};
use crate::model::names::BackupName;
use crate::steps::Outcome;
use crate::steps::files;
use crate::steps::folders::INDEX;
use crate::steps::objects::{Objects, read_index};
use crate::steps::output::say;

/// Deletes these. Each vanishes whole, also when this is interrupted; one that does not say itself that it has this
/// name is left to a person.
pub fn forget(home: &Path, doomed: &[BackupName]) -> Outcome {
    let cannot = |error: std::io::Error| Cause::new(format!("cannot delete backups in {}: {error}", home.display()));
    let mut backups = Vec::new();
    for name in doomed {
        let folder = home.join(name.as_str());
        let manifest =
            fs::read(folder.join(MANIFEST)).ok().and_then(|text| serde_json::from_slice::<Manifest>(&text).ok());
        if manifest.is_none_or(|manifest| manifest.name != *name) {
            say(&format!("kept {name}: its manifest is missing or of another backup"));
            continue;
        }
        fs::rename(&folder, home.join(format!("{name}{PART}"))).map_err(cannot)?;
        say(&format!("deleted {name}"));
        backups.push(name.clone());
    }
    File::open(home).and_then(|home| home.sync_all()).map_err(cannot)?;
    sweep(home).map_err(cannot)?;
    let freed = Objects::beside(home).collect(&named(home)?)?;
    if freed > 0 {
        say(&format!("{} kB of files that no backup names any more are deleted", freed / 1000));
    }
    Ok(Output::Forgotten { backups })
}

/// The objects that any backup names, finished or not. One that cannot be read may name anything, so then none is
/// deleted.
fn named(home: &Path) -> Result<BTreeMap<String, u64>, Cause> {
    let mut named = BTreeMap::new();
    for name in files::names(home)? {
        let index = home.join(name).join(INDEX);
        if index.symlink_metadata().is_ok() {
            named.extend(read_index(&index)?);
        }
    }
    Ok(named)
}
