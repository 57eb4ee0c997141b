//! A restore: what it would do, and its order. It is carried out like a deployment.

use std::sync::Arc;
use std::time::Duration;

use super::Daemon;
use super::orders::broken;
use crate::api::{Caller, Kind, Refusal};
use crate::config::{Database, MigrationLane, Migrations, Settings};
use crate::database::Cluster;
use crate::host::{backups, beside, files};
use crate::model::backup::{BackupRow, Manifest};
use crate::model::journal::{Goal, Journal, Order, Output, Restored, Restoring};
use crate::model::leaving::{self, Leaving};
use crate::model::names::{App, BackupName, DeploymentId, ReleaseId, SchemaRevision};
use crate::model::restore::RestoreView;
use crate::model::step::Step;

/// A person waits for the answer: what cannot be counted in this time is estimated.
const COUNTING: Duration = Duration::from_secs(15);
/// Tables that are named in a sentence.
const NAMED: usize = 4;

/// What a restore is about, once it is clear that it is possible at all.
struct Wish {
    settings: Settings,
    database: Database,
    row: BackupRow,
    manifest: Manifest,
    release: ReleaseId,
    live: ReleaseId,
}

impl Daemon {
    /// What a restore would do. Changes nothing.
    pub(super) async fn restore_plan(
        &self,
        app: App,
        name: BackupName,
        release: Option<ReleaseId>,
    ) -> Result<RestoreView, Refusal> {
        let wish = self.wish(&app, &name, release)?;
        let (cluster, db) = (Cluster::local(), &wish.database.name);
        let live_schema = live_schema(&wish.database).await;
        let refused = refused(&wish, &live_schema).await;
        let snapshot = snapshot(&wish.manifest).await;
        let leaving = cluster.written_since(db, snapshot.as_deref(), COUNTING).await;
        let leaving = leaving.map(|found| leaving::beside(found, &wish.manifest.tables));
        Ok(RestoreView {
            app,
            database: db.clone(),
            release: wish.release,
            refused: refused.map(|refusal| (refusal.what, refusal.hint.unwrap_or_default())),
            live_schema,
            leaving: leaving.map_err(|error| error.to_string()),
            free: beside::free(),
            need: beside::need(wish.manifest.database_bytes),
            keep_days: wish.database.quarantine_days,
            schema: wish.manifest.schema,
            backup: wish.row,
        })
    }

    /// Accepts a restore; `typed` is the database's name, as the person who asks typed it.
    pub(super) async fn order_restore(
        self: &Arc<Self>,
        by: Caller,
        app: App,
        name: BackupName,
        typed: &str,
        release: Option<ReleaseId>,
    ) -> Result<DeploymentId, Refusal> {
        let wish = self.wish(&app, &name, release)?;
        let db = &wish.database.name;
        if typed != db {
            let what = format!("the database of {app} is {db}, and not {typed:?}: nothing was done");
            return Err(Refusal::new(Kind::Usage, what));
        }
        self.nothing_stuck(&app).await?;
        if let Some(refusal) = refused(&wish, &live_schema(&wish.database).await).await {
            return Err(refusal);
        }
        let restoring = Restoring {
            backup: name.clone(),
            release: wish.release,
            schema: wish.manifest.schema.clone(),
            running: wish.manifest.running,
            snapshot: snapshot(&wish.manifest).await,
        };
        let who = by.who();
        let mut order = Order { who, ..self.order(&wish.settings, Goal::Restore(restoring), by.name, true).await? };
        order.revision = self.store.built(wish.release).await.map_err(broken)?.map(|built| built.revision);
        self.accept(wish.settings, "restore", &format!("backup {name}"), order, None).await
    }

    fn wish(&self, app: &App, name: &BackupName, release: Option<ReleaseId>) -> Result<Wish, Refusal> {
        let settings = self.settings(app)?;
        let not = |what: String| Refusal::new(Kind::NotPossible, what);
        let Some(database) = settings.database.clone() else {
            return Err(not(format!("{app} has no [database], so there is nothing to restore")));
        };
        if database.lane == MigrationLane::Stop {
            let what = format!(
                "{app} has lane = \"stop\": without a door and roles nothing can be restored beside the live database"
            );
            let hint = "`sudo tsh-agent init` makes both; or restore by hand, as the head of globals.sql says";
            return Err(not(what).hint(hint));
        }
        let found = backups::one(app, name).map_err(super::care::unreadable)?;
        let view = found.ok_or_else(|| super::care::no_backup(app, name))?;
        let damaged = |why: &str| {
            not(format!("backup {name} is not good: {why}")).hint("`tsh-agent backup list` shows which are proven")
        };
        if let Some(problem) = &view.row.problem {
            return Err(damaged(problem));
        }
        let manifest = view.manifest.ok_or_else(|| damaged("it has no manifest"))?;
        let Some(live) = Self::live(app)? else {
            let what = format!("{app} has no live release that could run on a restored database");
            let revision = manifest.revision.as_ref().map_or("REVISION", |revision| revision.as_str());
            return Err(not(what).hint(format!("`tsh-agent deploy {revision}` first, and restore then")));
        };
        let release = release.unwrap_or(live);
        if !files::has_release(app, release) {
            let what = format!("release {release} is not kept on this server");
            return Err(Refusal::new(Kind::NotFound, what).hint("`tsh-agent history` shows releases"));
        }
        Ok(Wish { settings, database, row: view.row, manifest, release, live })
    }
}

/// What stands in the way, as far as that can be seen at once; the steps look again, and closer.
async fn refused(wish: &Wish, live_schema: &Result<Vec<SchemaRevision>, String>) -> Option<Refusal> {
    if let Err(error) = Cluster::local().check(&wish.database.name).await {
        return Some(Refusal::new(Kind::NotPossible, error.to_string()).hint(error.hint()));
    }
    let Manifest { name, running, .. } = &wish.manifest;
    let known = live_schema.as_ref().ok()?;
    fits(wish.release, wish.live, known, &wish.manifest.schema).err().map(|what| {
        let hint = match running.filter(|running| *running != wish.release) {
            Some(running) => format!("release {running} ran when it was taken: add --release {running}"),
            None => format!("name a release that knows this schema: backup restore {name} --release ID"),
        };
        Refusal::new(Kind::NotPossible, what).hint(hint)
    })
}

/// Whether the release knows the schema of the backup. Of the live one it is known which schema it wants: the live one.
fn fits(
    release: ReleaseId,
    live: ReleaseId,
    live_schema: &[SchemaRevision],
    backup: &[SchemaRevision],
) -> Result<(), String> {
    let sorted = |revisions: &[SchemaRevision]| {
        let mut words: Vec<String> = revisions.iter().map(ToString::to_string).collect();
        words.sort();
        if words.is_empty() { "no revision".to_owned() } else { words.join(", ") }
    };
    let (wants, has) = (sorted(live_schema), sorted(backup));
    if release != live || wants == has {
        return Ok(());
    }
    Err(format!("release {release} does not fit the backup: it runs on schema {wants}, and the backup is at {has}"))
}

async fn live_schema(database: &Database) -> Result<Vec<SchemaRevision>, String> {
    let Migrations::Alembic { table, .. } = &database.migrations else { return Ok(Vec::new()) };
    let revisions = Cluster::local().schema_revisions(&database.name, table).await;
    revisions.map_err(|error| error.to_string())
}

/// The backup's snapshot, if it means something on this server.
async fn snapshot(manifest: &Manifest) -> Option<String> {
    let system = Cluster::local().system().await.ok();
    (system.is_some() && system == manifest.system).then(|| manifest.snapshot.clone())
}

/// What became of the database in a restore, in one sentence.
pub(super) fn sentence(journal: &Journal) -> Option<String> {
    let Some(Goal::Restore(Restoring { backup, .. })) = journal.order().map(|order| &order.goal) else { return None };
    let swapped = journal.output(Step::Swap);
    Some(match (journal.output(Step::Restore), swapped) {
        (Some(Output::Restored(Restored::Reverted { aside })), _) => {
            format!("the one from before the restore; what was restored is kept as {aside}")
        }
        (Some(_), _) | (None, None) if !journal.touched(Step::Swap) => "as it was: nothing was swapped".to_owned(),
        (Some(_), _) => "the one from before the restore".to_owned(),
        (None, Some(Output::Swapped { quarantine })) => {
            format!("backup {backup}; the one that was live before is kept as {quarantine}")
        }
        (None, _) => "being swapped".to_owned(),
    })
}

/// What only the quarantine has, in one sentence; empty if nothing was counted.
pub(super) fn only_there(tables: &[Leaving]) -> String {
    let named = |count: fn(&Leaving) -> u64| {
        let mut some: Vec<(&str, u64)> = tables.iter().map(|table| (table.name.as_str(), count(table))).collect();
        some.retain(|(_, rows)| *rows > 0);
        some.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        let total: u64 = some.iter().map(|(_, rows)| rows).sum();
        let words: Vec<String> = some.iter().take(NAMED).map(|(name, rows)| format!("{name} {rows}")).collect();
        let more = if some.len() > NAMED { ", …" } else { "" };
        (total, if words.is_empty() { String::new() } else { format!(" ({}{more})", words.join(", ")) })
    };
    if tables.is_empty() {
        return String::new();
    }
    let (only, which) = named(Leaving::leave);
    let rows = |count: u64| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let mut out = format!("{} only there{which}", rows(only));
    let (back, which) = named(Leaving::come_back);
    if back > 0 {
        out += &format!("; {} only in the live one{which}", rows(back));
    }
    let rewritten: Vec<&str> =
        tables.iter().filter(|table| table.rewritten()).map(|table| table.name.as_str()).collect();
    if !rewritten.is_empty() {
        out += &format!("; written anew as a whole, and so only compared by number: {}", rewritten.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revisions(words: &str) -> Vec<SchemaRevision> {
        words.split_whitespace().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn the_live_release_fits_what_has_its_schema() {
        let (one, two) = (ReleaseId(1), ReleaseId(2));
        assert_eq!(fits(two, two, &revisions("b a"), &revisions("a b")), Ok(()));
        assert_eq!(fits(two, two, &[], &[]), Ok(()));
        let no = fits(two, two, &revisions("b"), &revisions("a")).unwrap_err();
        assert!(no.contains("release 2 does not fit") && no.contains("schema b, and the backup is at a"), "{no}");
        assert!(fits(two, two, &revisions("b"), &[]).unwrap_err().contains("no revision"));
        assert_eq!(fits(one, two, &revisions("b"), &revisions("a")), Ok(()), "the inspection finds out");
    }

    #[test]
    fn what_is_only_there_is_told_largest_first() {
        let table = |name: &str, rows, since, other| Leaving {
            schema: "public".into(),
            name: name.into(),
            rows,
            since,
            other,
            counted: true,
        };
        assert_eq!(only_there(&[]), "");
        assert_eq!(only_there(&[table("a", 3, Some(0), Some(3))]), "0 rows only there");
        let many = [
            table("a", 9, Some(1), Some(10)),
            table("b", 9, Some(9), Some(8)),
            table("c", 20, Some(12), Some(8)),
            table("d", 1, Some(1), Some(0)),
        ];
        assert_eq!(
            only_there(&many),
            "15 rows only there (c 12, a 1, b 1, d 1); 2 rows only in the live one (a 2); \
             written anew as a whole, and so only compared by number: b"
        );
    }
}
