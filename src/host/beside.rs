//! Databases beside the live one: made for a restore, swapped, counted, and forgotten at last.

use std::path::Path;
use std::time::Duration;

use super::machine::{Machine, asked, now};
use super::{backups, chain};
use crate::database::{Cluster, Kind, Swap};
use crate::deploy::world::Act;
use crate::model::backup::Manifest;
use crate::model::journal::Cause;
use crate::model::leaving::{self, Leaving};
use crate::model::names::BackupName;
use crate::model::quarantine::{self, Facts, Fate};

/// Where PostgreSQL's data lies on Debian and Ubuntu.
const DATA: &str = "/var/lib/postgresql";
/// What must stay free there: a disk that is full stops the server itself.
const RESERVE: u64 = 512 << 20;
/// What the log of writes takes in the meantime, at most: beyond `max_wal_size`, which is 1 GB, it is recycled.
const LOG: u64 = 2 << 30;
/// Counting reads everything once, 1.2 s for each GB.
const COUNTING: Duration = Duration::from_hours(1);

/// After a crash PostgreSQL is back by itself within seconds.
const BACK: Duration = Duration::from_secs(30);

/// Whether PostgreSQL answers, or does again soon.
async fn is_back() -> bool {
    Cluster::local().wait(BACK).await.is_ok()
}

impl Machine<'_> {
    /// Makes an empty database for this backup, if it fits on the disk.
    pub(super) async fn room_for(&self, backup: &BackupName) -> Act<()> {
        let manifest = self.manifest(backup)?;
        enough_space(Path::new(DATA), manifest.database_bytes)?;
        let (database, room) = (self.database()?, self.aside(Kind::Restored)?);
        let made = Cluster::local().make_room(&database.name, &room, &manifest.locale, &database.owner).await;
        made.map_err(asked)
    }

    /// Makes one of this deployment's databases live, and gives the live one the name of another.
    pub(super) async fn swap(&self, incoming: Kind, outgoing: Kind, original: Option<&str>) -> Act<()> {
        let db = &self.database()?.name;
        let why = match (incoming, outgoing) {
            (Kind::Twin, _) => "as the failed deployment left it",
            (_, Kind::Quarantine) => "before a backup was restored by deployment",
            (_, _) => "as it was restored and not healthy in deployment",
        };
        let until = quarantine::until(now(), self.database()?.quarantine_days);
        let date = |at| jiff::Timestamp::from_millisecond(at).map(|at| at.strftime("%Y-%m-%d").to_string());
        let (at, until) = (date(now()).unwrap_or_default(), date(until).unwrap_or_default());
        let note = format!("tsh-agent: {db} {why} {}, aside since {at}, kept until {until} at least", self.id);
        let swap = Swap { db: db.clone(), incoming: self.aside(incoming)?, outgoing: self.aside(outgoing)?, note };
        Cluster::local().swap(&swap, original).await.map_err(asked)?;
        Ok(())
    }

    /// What only the quarantine has.
    pub(super) async fn count(&self, snapshot: Option<&str>, backup: Option<&BackupName>) -> Act<Vec<Leaving>> {
        let quarantine = self.aside(Kind::Quarantine)?;
        let ask = || async { Cluster::local().written_since(quarantine.name(), snapshot, COUNTING).await };
        let found = match ask().await {
            Err(_) if is_back().await => ask().await,
            found => found,
        };
        let found = found.map_err(asked)?;
        Ok(match backup {
            Some(backup) => leaving::beside(found, &self.manifest(backup)?.tables),
            None => found,
        })
    }

    /// Forgets twins of earlier deployments, what was restored in vain, and quarantines whose time is over.
    pub(super) async fn forget_asides(&self) -> Act<()> {
        match self.forget().await {
            Err(_) if is_back().await => self.forget().await,
            done => done,
        }
    }

    async fn forget(&self) -> Act<()> {
        let Ok(database) = self.database() else { return Ok(()) };
        let last = self.store.history(Some(&self.settings.app), 1).await.map_err(|error| Cause::new(chain(&error)))?;
        let last = last.first().map(|row| row.id);
        let leftovers = Cluster::local().leftovers(&database.name).await.map_err(asked)?;
        for leftover in leftovers {
            let deployment = leftover.aside.deployment;
            let made = self.store.deployment(deployment).await.map_err(|error| Cause::new(chain(&error)))?;
            let stuck = made.as_ref().is_some_and(|(row, _)| row.state == "needs-operator");
            let ended = made.and_then(|(row, _)| row.ended);
            let forgotten = match leftover.aside.kind {
                // The last twin stays until the next deployment has been settled.
                Kind::Twin | Kind::Restored => deployment != self.id && ended.is_some(),
                Kind::Quarantine => {
                    let dumped =
                        backups::of_quarantine(&self.settings.app, deployment).is_ok_and(|dump| dump.is_some());
                    let facts = Facts { ended, needed: stuck && last == Some(deployment), dumped };
                    quarantine::fate(facts, database.quarantine_days, now()) == Fate::Goes
                }
            };
            if forgotten {
                Cluster::local().drop(&database.name, &leftover.aside).await.map_err(asked)?;
            }
        }
        Ok(())
    }

    fn manifest(&self, backup: &BackupName) -> Act<Manifest> {
        let found = backups::one(&self.settings.app, backup);
        let found = found.map_err(|error| Cause::new(format!("backup {backup} cannot be read: {error}")))?;
        let manifest = found.and_then(|view| view.manifest);
        manifest.ok_or_else(|| Cause::new(format!("backup {backup} is not there, or its manifest cannot be read")))
    }
}

/// How much a database of this size needs where PostgreSQL keeps its data, while it is restored.
pub fn need(bytes: u64) -> u64 {
    bytes + bytes / 20 + bytes.min(LOG) + RESERVE
}

/// Free bytes where PostgreSQL keeps its data; `None` where that cannot be seen.
pub fn free() -> Option<u64> {
    free_at(Path::new(DATA))
}

fn free_at(data: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(data).ok()?;
    Some(stat.blocks_available() * stat.fragment_size())
}

fn enough_space(data: &Path, bytes: u64) -> Act<()> {
    let (need, free) = (need(bytes), free_at(data));
    if free.is_none_or(|free| free >= need) {
        return Ok(());
    }
    let free = free.unwrap_or_default() >> 20;
    let what = format!("a second database needs {} MiB, and only {free} are free in {}", need >> 20, data.display());
    Err(Cause::new(what).hint("make room there: `tsh-agent check` shows what lies beside the live database"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_database_must_fit() {
        assert!(enough_space(Path::new("/"), 0).is_ok() || free_at(Path::new("/")) < Some(RESERVE));
        let full = enough_space(Path::new("/"), u64::MAX / 4).unwrap_err();
        assert!(full.what.contains("only") && full.hint.is_some(), "{full:?}");
        assert!(enough_space(Path::new("/nowhere"), u64::MAX / 4).is_ok(), "what cannot be seen is not guessed");
        assert_eq!(need(100 << 30), (105 << 30) + LOG + RESERVE);
    }
}
