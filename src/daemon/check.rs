//! The core's part of `tsh-agent check`: what only its own user can see. Reads only.

use std::path::PathBuf;

use super::Daemon;
use super::orders::broken;
use crate::api::{Kind, Refusal};
use crate::config::{Database, MigrationLane};
use crate::database::{Cluster, DatabaseError, Kind as Beside, Leftover};
use crate::host::files;
use crate::model::finding::Finding;
use crate::model::names::{App, DeploymentId, ReleaseId};
use crate::model::outcome::Verdict;

impl Daemon {
    pub(super) async fn check(&self, app: App) -> Result<Vec<Finding>, Refusal> {
        let settings =
            crate::config::load(&app).map_err(|error| Refusal::new(Kind::Configuration, error.to_string()))?;
        let rows = self.store.history(Some(&app), 2).await.map_err(broken)?;
        let good = self.store.good(&app).await.map_err(broken)?;
        let link = files::link(&app);
        let live = Live {
            running: rows.iter().find(|row| row.ended.is_none()).map(|row| row.id),
            stuck: rows.first().filter(|row| row.state == Verdict::NeedsOperator.word()).map(|row| row.id),
            link: link
                .map_err(|error| Refusal::new(Kind::Internal, format!("the link to the live release: {error}")))?,
            whole: |id| files::has_release(&app, id),
            door_closed: files::door_closed(&app),
            good,
        };
        let mut found = releases(&app, &live);
        found.extend(super::offsite::check(&settings, crate::host::machine::now()));
        found.extend(self.maintenance_of(&app).await?.map(|now| super::maintenance::finding(&app, &now)));
        if let Some(database) = &settings.database {
            found.push(super::alarm::backups(&app, settings.backup.alarm, crate::host::machine::now()));
            found.extend(look_at_database(&app, database, live.running.is_some() || live.stuck.is_some()).await);
        }
        Ok(found)
    }
}

/// What is live, as far as the core knows and sees it.
struct Live<F: Fn(ReleaseId) -> bool> {
    running: Option<DeploymentId>,
    /// The last deployment, if it waits for a person.
    stuck: Option<DeploymentId>,
    link: Option<ReleaseId>,
    good: Option<ReleaseId>,
    /// Whether a release is there, which it only is if it is complete.
    whole: F,
    door_closed: bool,
}

/// The link, the release behind it and the door.
fn releases<F: Fn(ReleaseId) -> bool>(app: &App, live: &Live<F>) -> Vec<Finding> {
    if let Some(id) = live.running {
        let what = format!("deployment {id} runs: release, door and fence are its own until it ends");
        return vec![Finding::not_checked("release", what).mend(format!("tsh-agent watch {id}"))];
    }
    let mut found = Vec::new();
    if let Some(id) = live.stuck {
        let what = format!("deployment {id} needs an operator");
        found.push(Finding::bad("deployment", what).mend(format!("tsh-agent show {id}")));
    }
    found.push(match (live.link, live.good) {
        (None, None) => {
            Finding::warning("release", "nothing was deployed yet").mend(format!("tsh-agent deploy --app {app}"))
        }
        (None, Some(good)) => Finding::bad("release", format!("there is no live release; the last good one is {good}"))
            .mend(format!("tsh-agent deploy --app {app} --force")),
        (Some(link), _) if !(live.whole)(link) => {
            Finding::bad("release", format!("the live link points to release {link}, which is not there"))
                .mend(format!("tsh-agent deploy --app {app} --force"))
        }
        (Some(link), Some(good)) if link == good => {
            Finding::ok("release", format!("release {link} is live, whole and the last one that was verified"))
        }
        (Some(link), good) => {
            let last = good.map_or_else(|| "none was yet".to_owned(), |good| format!("the last one was {good}"));
            let back = good.map(|good| format!(", or tsh-agent rollback --app {app} --to {good}")).unwrap_or_default();
            Finding::bad("release", format!("release {link} is live and was never verified; {last}"))
                .mend(format!("tsh-agent deploy --app {app} REVISION{back}"))
        }
    });
    if live.door_closed {
        let mend = match live.stuck {
            Some(id) => format!("tsh-agent show {id}"),
            None => format!("tsh-agent history --app {app}"),
        };
        let what = "the door is closed and no deployment runs: nginx answers 503";
        found.push(Finding::bad("door", what).mend(mend));
    }
    found
}

async fn look_at_database(app: &App, database: &Database, unsettled: bool) -> Vec<Finding> {
    let cluster = Cluster::local();
    let db = &database.name;
    let version = match cluster.version().await {
        Ok(version) => version,
        Err(error) => return vec![wrong(app, database, &error)],
    };
    let mut found = vec![pg_dump(version, |program| program.exists())];
    found.push(match cluster.check(db).await {
        Ok(()) => Finding::ok("database", format!("tsh-agent may fence, copy and swap {db}")),
        Err(error) => wrong(app, database, &error),
    });
    if !unsettled {
        found.push(match cluster.access(db).await {
            Ok(list) => access(database, list.as_deref()),
            Err(error) => wrong(app, database, &error),
        });
    }
    found.push(match cluster.leftovers(db).await {
        Ok(leftovers) => beside(&leftovers),
        Err(error) => wrong(app, database, &error),
    });
    found
}

/// Without roles a database can only be migrated the weaker way; where that is the lane, it is chosen.
fn wrong(app: &App, database: &Database, error: &DatabaseError) -> Finding {
    let mend = match error {
        DatabaseError::Down { .. } => "sudo systemctl start postgresql".to_owned(),
        DatabaseError::NoRole(_) | DatabaseError::NotLetIn { .. } | DatabaseError::Denied { .. } => {
            format!("sudo tsh-agent init {app}")
        }
        other => other.hint(),
    };
    let found = match database.lane {
        MigrationLane::Auto | MigrationLane::Fenced => Finding::bad("database", error.to_string()),
        MigrationLane::Stop => Finding::warning("database", error.to_string()),
    };
    found.mend(mend)
}

/// A backup needs the server's own major version.
fn pg_dump(version: u32, is_there: impl Fn(&PathBuf) -> bool) -> Finding {
    let major = version / 10_000;
    let program = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/pg_dump"));
    if is_there(&program) {
        return Finding::ok("database", format!("PostgreSQL {major} answers, and its own pg_dump is there"));
    }
    let what = format!("PostgreSQL {major} answers, but {} is missing: no backup can be made", program.display());
    Finding::bad("database", what).mend(format!("sudo apt-get install postgresql-client-{major}"))
}

/// Whether the fence is down, as it must be while no deployment runs.
fn access(database: &Database, list: Option<&str>) -> Finding {
    let (db, owner) = (&database.name, &database.owner);
    if list.is_none_or(|list| may_connect(list, owner)) {
        return Finding::ok("database", format!("role {owner} may connect to {db}"));
    }
    let what = format!("role {owner} may not connect to {db}: the fence stands, and no deployment runs");
    Finding::bad("database", what)
        .mend(format!("sudo -u postgres psql -c 'grant connect on database \"{db}\" to \"{owner}\"'"))
}

/// Whether an access list in PostgreSQL's own form lets `role` connect, by name or as PUBLIC.
fn may_connect(list: &str, role: &str) -> bool {
    let entries = list.trim_start_matches('{').trim_end_matches('}').split(',');
    // An entry that contains more than letters is quoted as an element of the array, and a name within it once more.
    let plain = entries.map(|entry| entry.replace(['"', '\\'], ""));
    plain.into_iter().any(|entry| {
        let rights = entry.split_once('=').filter(|(who, _)| who.is_empty() || *who == role);
        rights.is_some_and(|(_, rights)| rights.split('/').next().is_some_and(|rights| rights.contains('c')))
    })
}

/// Twins and quarantines take space.
fn beside(leftovers: &[Leftover]) -> Finding {
    if leftovers.is_empty() {
        return Finding::ok("database", "no twin, no restored and no quarantined database lies beside it");
    }
    let count = |kind: Beside| leftovers.iter().filter(|leftover| leftover.aside.kind == kind).count();
    let bytes: u64 = leftovers.iter().map(|leftover| leftover.bytes).sum();
    let (twins, quarantined) = (count(Beside::Twin), count(Beside::Quarantine));
    let restored = count(Beside::Restored);
    let size = bytes.div_ceil(1 << 20);
    Finding::ok(
        "database",
        format!("beside it: twins: {twins}, restored: {restored}, quarantined: {quarantined}, together {size} MiB"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> App {
        "erp".parse().unwrap()
    }

    fn live(link: Option<u32>, good: Option<u32>) -> Live<fn(ReleaseId) -> bool> {
        Live {
            running: None,
            stuck: None,
            link: link.map(ReleaseId),
            good: good.map(ReleaseId),
            whole: |id| id.0 < 10,
            door_closed: false,
        }
    }

    fn told(live: &Live<fn(ReleaseId) -> bool>) -> Vec<String> {
        let line = |found: Finding| format!("{:?} {} -> {}", found.level, found.what, found.mend.unwrap_or_default());
        releases(&app(), live).into_iter().map(line).collect()
    }

    #[test]
    fn the_live_release_is_whole_and_the_good_one() {
        assert_eq!(
            told(&live(Some(2), Some(2))),
            ["Ok release 2 is live, whole and the last one that was verified -> "]
        );
        assert!(told(&live(Some(12), Some(12)))[0].starts_with("Bad the live link points to release 12, which is not"));
        assert!(told(&live(Some(3), Some(2)))[0].starts_with("Bad release 3 is live and was never verified; the last"));
        assert!(told(&live(None, Some(2)))[0].starts_with("Bad there is no live release; the last good one is 2"));
        assert!(told(&live(None, None))[0].starts_with("Warning nothing was deployed yet -> tsh-agent deploy"));
        let running = Live { running: Some(DeploymentId(7)), door_closed: true, ..live(Some(3), Some(2)) };
        assert_eq!(told(&running).len(), 1);
        let stuck = Live { stuck: Some(DeploymentId(7)), door_closed: true, ..live(Some(2), Some(2)) };
        assert_eq!(told(&stuck)[0], "Bad deployment 7 needs an operator -> tsh-agent show 7");
        assert!(told(&stuck)[2].ends_with("nginx answers 503 -> tsh-agent show 7"));
    }

    #[test]
    fn an_access_list_is_read_as_postgresql_writes_it() {
        assert!(may_connect("{=Tc/erp,erp=CTc/erp}", "other"));
        assert!(may_connect("{=T/erp,erp=CTc/erp}", "erp"));
        assert!(!may_connect("{erp=CT/erp,\"\\\"tsh-agent-migrate\\\"=c/erp\"}", "erp"));
        assert!(may_connect("{erp=CT/erp,\"\\\"tsh-agent-migrate\\\"=c/erp\"}", "tsh-agent-migrate"));
        assert!(!may_connect("{}", "erp"));
    }

    #[test]
    fn only_the_servers_own_pg_dump_will_do() {
        let found = pg_dump(150_013, |program| program.ends_with("15/bin/pg_dump"));
        assert_eq!(found, Finding::ok("database", "PostgreSQL 15 answers, and its own pg_dump is there"));
        assert_eq!(pg_dump(160_001, |_| false).mend.unwrap(), "sudo apt-get install postgresql-client-16");
    }
}
