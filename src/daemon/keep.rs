//! What is kept for how long: backups, and databases that were set aside.

use std::sync::Arc;

use super::Daemon;
use super::orders::broken;
use crate::api::{Kind, Refusal};
use crate::config::{Database, Settings};
use crate::database::{Cluster, Kind as Beside, Leftover};
use crate::host::{backups, files, machine::now};
use crate::model::backup::Doomed;
use crate::model::care::{self, Care, Part};
use crate::model::journal::Output;
use crate::model::leaving::Leaving;
use crate::model::names::{App, DeploymentId};
use crate::model::quarantine::{self, Facts, Fate, QuarantineView};
use crate::model::retention::{self, Kept, Rule};
use crate::model::step::Step;

impl Daemon {
    /// The backups that are no longer kept.
    pub(super) async fn doomed(&self, settings: &Settings) -> Result<Vec<Doomed>, Refusal> {
        let app = &settings.app;
        let mut kept = Vec::new();
        for view in backups::all(app).map_err(super::care::unreadable)? {
            // Nobody knows what one is that does not say it itself: a person must look.
            let Some(at) = view.row.at else { continue };
            let needed = match view.row.deployment {
                Some(deployment) => self.may_need(app, deployment).await?,
                None => false,
            };
            let (proven, damaged) = (view.row.is_proven(), view.row.problem.is_some());
            let aside = view.row.quarantine.is_some();
            kept.push(Kept { name: view.row.name, at, bytes: view.row.bytes, proven, damaged, needed, aside });
        }
        let rule = settings.backup.clone();
        let rule = Rule { keep_days: rule.keep_days, min_keep: rule.min_keep, max_bytes: rule.max_bytes };
        let doomed = retention::doomed(&kept, rule, now()).into_iter();
        let bytes = |name: &crate::model::names::BackupName| {
            kept.iter().find(|one| one.name == *name).map_or(0, |one| one.bytes)
        };
        Ok(doomed.map(|(name, why)| Doomed { bytes: bytes(&name), why: why.words().to_owned(), name }).collect())
    }

    /// Whether the backup of a deployment may still be wanted: its release is kept, or it has not come to a good end.
    async fn may_need(&self, app: &App, deployment: DeploymentId) -> Result<bool, Refusal> {
        let Some((row, _)) = self.store.deployment(deployment).await.map_err(broken)? else { return Ok(false) };
        Ok(row.ended.is_none() || row.state == "needs-operator" || files::has_release(app, row.release))
    }

    /// The quarantines of an application, oldest first.
    pub(super) async fn quarantines(&self, settings: &Settings) -> Result<Vec<QuarantineView>, Refusal> {
        let Some(database) = &settings.database else { return Ok(Vec::new()) };
        let mut views = Vec::new();
        for (leftover, facts) in self.set_aside(settings, database).await? {
            let deployment = leftover.aside.deployment;
            let journal = self.store.journal(deployment).await.map_err(broken)?;
            let rows = match journal.output(Step::Count) {
                Some(Output::Counted { tables, .. }) => Some(tables.iter().map(Leaving::leave).sum()),
                _ => None,
            };
            views.push(QuarantineView {
                database: leftover.aside.name().to_owned(),
                deployment,
                comment: leftover.comment,
                bytes: leftover.bytes,
                since: facts.ended,
                until: facts.ended.map(|ended| quarantine::until(ended, database.quarantine_days)),
                rows,
                dump: backups::of_quarantine(&settings.app, deployment).map_err(super::care::unreadable)?,
            });
        }
        Ok(views)
    }

    /// Each quarantine, with what decides about it.
    async fn set_aside(&self, settings: &Settings, database: &Database) -> Result<Vec<(Leftover, Facts)>, Refusal> {
        let unreadable =
            |error: crate::database::DatabaseError| Refusal::new(Kind::Internal, error.to_string()).hint(error.hint());
        let app = &settings.app;
        let leftovers = Cluster::local().leftovers(&database.name).await.map_err(unreadable)?;
        let last = self.store.history(Some(app), 1).await.map_err(broken)?.first().map(|row| row.id);
        let mut found = Vec::new();
        for leftover in leftovers.into_iter().filter(|leftover| leftover.aside.kind == Beside::Quarantine) {
            let deployment = leftover.aside.deployment;
            let row = self.store.deployment(deployment).await.map_err(broken)?.map(|(row, _)| row);
            let stuck = row.as_ref().is_some_and(|row| row.state == "needs-operator");
            let dumped = backups::of_quarantine(app, deployment).map_err(super::care::unreadable)?.is_some();
            let facts =
                Facts { ended: row.and_then(|row| row.ended), needed: stuck && last == Some(deployment), dumped };
            found.push((leftover, facts));
        }
        Ok(found)
    }

    /// Forgets a quarantine whose time is over and of which there is a proven dump; and takes such a dump of the next.
    pub(super) async fn tend(self: &Arc<Self>, settings: &Settings) {
        let app = &settings.app;
        if let Err(refusal) = self.tend_each(settings).await {
            tracing::error!(tsh_app = %app, "the quarantines of {app} are kept for now: {}", refusal.what);
        }
    }

    async fn tend_each(self: &Arc<Self>, settings: &Settings) -> Result<(), Refusal> {
        let Some(database) = &settings.database else { return Ok(()) };
        let app = &settings.app;
        for (leftover, facts) in self.set_aside(settings, database).await? {
            let name = leftover.aside.name();
            match quarantine::fate(facts, database.quarantine_days, now()) {
                Fate::Kept => {}
                Fate::Goes => {
                    let gone = Cluster::local().drop(&database.name, &leftover.aside).await;
                    gone.map_err(|error| Refusal::new(Kind::Internal, error.to_string()))?;
                    tracing::info!(tsh_app = %app, "{name} is forgotten; a proven dump of it is kept for 30 days");
                }
                // One after another: the end of this one comes back here.
                Fate::ToBeDumped => return self.dump(settings, leftover.aside.deployment).await,
            }
        }
        Ok(())
    }

    async fn dump(self: &Arc<Self>, settings: &Settings, deployment: DeploymentId) -> Result<(), Refusal> {
        let app = &settings.app;
        let all = backups::all(app).map_err(super::care::unreadable)?;
        // One that was taken already only wants its proof.
        let taken = all.into_iter().map(|view| view.row);
        let mut taken =
            taken.filter(|row| row.quarantine == Some(deployment) && row.problem.is_none()).map(|row| row.name);
        let mut care = Care::new(care::Kind::Quarantine, "retention".to_owned(), self.boot.clone(), None);
        care.quarantine = Some(deployment);
        care.backup = taken.next();
        care.without.extend(care.backup.is_some().then_some(Part::Backup));
        let _gate = self.gate.lock().await;
        if self.open_deployment(app).await?.is_some() {
            return Ok(());
        }
        let id = self.store.begin_care(app, &care, now()).await.map_err(broken)?;
        self.launch_care(settings.clone(), id, care);
        Ok(())
    }
}
