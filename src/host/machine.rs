//! The real machine behind the engine, for one deployment of one application.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot, watch};

use super::rest::{Wake, wanted};
use super::systemd::Systemd;
use super::{ballast, files, gauge, preflight, slots};
use crate::config::{Database, Migrations, Settings};
use crate::database::{Aside, Cluster, DatabaseError, Kind};
use crate::deploy::world::{Act, Halted, StepNow, UnitNow, Vigil, Woken, World};
use crate::model::gates::Standing;
use crate::model::journal::{Boot, Cause, Entry, Fact, Felt, Invocation, Journal};
use crate::model::lane::Lane;
use crate::model::leaving::Leaving;
use crate::model::names::{App, BackupName, DeploymentId, ReleaseId, SchemaRevision, Sha, UnitName};
use crate::model::request::{Report, Request};
use crate::model::slot::{Link, Slot};
use crate::paths;
use crate::steps::manifest;
use crate::store::Store;

/// Nobody waits longer than this for a signal that may have been missed.
const BELT: Duration = Duration::from_secs(5);
/// Stopping a step kills it; this is for systemd itself.
const STEP_STOP: Duration = Duration::from_secs(100);
/// A slot ends by its own drain deadline; this is for what comes after it.
const SLOT_STOP: Duration = Duration::from_secs(15);

/// The machine.
pub struct Machine<'a> {
    /// The application.
    pub settings: Settings,
    /// The deployment.
    pub id: DeploymentId,
    /// Entries written so far.
    pub written: usize,
    /// The state.
    pub store: Store,
    /// The service manager.
    pub systemd: Systemd,
    /// The current boot.
    pub boot: Boot,
    /// Who asked to abort.
    pub abort: watch::Receiver<Option<String>>,
    /// The abort is on record; what runs now undoes, and must not be stopped by it.
    pub abort_noted: bool,
    /// What wakes it while it waits for its gates.
    pub wake: &'a mut mpsc::UnboundedReceiver<Wake>,
    /// Who waits for the end of this deployment; kept until then.
    pub superseded_by: Option<oneshot::Sender<()>>,
    /// Told after each entry.
    pub news: mpsc::UnboundedSender<(App, DeploymentId, Fact)>,
}

/// Now, in milliseconds since 1970 (UTC).
#[must_use]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

impl Machine<'_> {
    pub(super) fn unit_of(&self, kind: &str) -> String {
        format!("tsh-agent-{kind}@{}.service", self.settings.app)
    }

    pub(super) fn database(&self) -> Act<&Database> {
        self.settings.database.as_ref().ok_or_else(|| Cause::new("no database is configured"))
    }

    fn io<T>(what: &str, result: std::io::Result<T>) -> Act<T> {
        result.map_err(|error| Cause::new(format!("{what}: {error}")))
    }

    pub(super) fn aside(&self, kind: Kind) -> Act<Aside> {
        let name = &self.database()?.name;
        Ok(match kind {
            Kind::Twin => Aside::twin(name, self.id),
            Kind::Restored => Aside::restored(name, self.id),
            Kind::Quarantine => Aside::quarantine(name, self.id),
        })
    }
}

pub(super) fn asked(error: DatabaseError) -> Cause {
    let hint = error.hint();
    Cause::new(error.to_string()).hint(hint)
}

impl World for Machine<'_> {
    async fn append(&mut self, fact: Fact) -> Result<(), Halted> {
        let entry = Entry { at: now(), boot: self.boot.clone(), fact };
        let mut written = self.store.append(&self.settings.app, self.id, self.written, &entry).await;
        if let Err(error) = &written
            && ballast::let_go(Path::new(paths::STATE))
        {
            tracing::error!("the journal uses its last room: {}", super::chain(error));
            written = self.store.append(&self.settings.app, self.id, self.written, &entry).await;
        }
        written.map_err(|error| Halted(super::chain(&error)))?;
        self.written += 1;
        // Nobody may be listening any more when the core is stopping.
        let _ = self.news.send((self.settings.app.clone(), self.id, entry.fact));
        Ok(())
    }

    fn boot(&self) -> Boot {
        self.boot.clone()
    }

    fn now(&self) -> i64 {
        now()
    }

    fn abort_asked(&mut self) -> Option<String> {
        if !self.abort.has_changed().unwrap_or(false) {
            return None;
        }
        self.abort_noted = true;
        self.abort.borrow_and_update().clone()
    }

    async fn rest(&mut self, until: Option<i64>) -> Woken {
        self.rest_until(until).await
    }

    async fn standing(&mut self) -> Act<Standing> {
        let standing = self.store.standing(&self.settings.app, Some(self.id)).await;
        standing.map_err(|error| Cause::new(super::chain(&error)))
    }

    async fn configuration(&mut self) -> Act<String> {
        let settings = crate::config::load(&self.settings.app).map_err(|error| Cause::new(error.to_string()))?;
        Ok(settings.digest())
    }

    async fn pause(&mut self, attempt: usize) {
        let seconds = u64::try_from(attempt).unwrap_or(1).min(5) * 2;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    async fn clear_step(&mut self, kind: &str) -> Act<Invocation> {
        let unit = self.unit_of(kind);
        let state = self.systemd.state(&unit).await?;
        if !state.over() {
            self.systemd.stop(&unit, STEP_STOP).await?;
        }
        Ok(state.invocation)
    }

    async fn begin_step(&mut self, kind: &str, request: &Request) -> Act<()> {
        let text = serde_json::to_vec(request).map_err(|error| Cause::new(format!("the request: {error}")))?;
        Self::io("the step's request cannot be written", files::write_request(&self.settings.app, kind, &text))?;
        self.systemd.begin(&self.unit_of(kind)).await
    }

    async fn look_step(&mut self, kind: &str, before: &Invocation) -> Act<StepNow> {
        let state = self.systemd.state(&self.unit_of(kind)).await?;
        Ok(self.step_now(kind, before, &state))
    }

    async fn finish_step(&mut self, kind: &str, before: &Invocation, watched: &[Vigil]) -> Act<Report> {
        let unit = self.unit_of(kind);
        let mut changes = self.systemd.changes().await?;
        loop {
            let state = self.systemd.state(&unit).await?;
            match self.step_now(kind, before, &state) {
                StepNow::Ended(_, report) => return Ok(*report),
                // However long its job waits; where there is none any more, as after an assertion that failed, nothing
                // will ever begin it.
                StepNow::Idle if !state.queued => {
                    return Err(Cause::new(format!("{unit} did not start: {}", state.words())));
                }
                StepNow::Idle | StepNow::Running(_) => {}
            }
            if let Some(cause) = self.first_dead(watched).await? {
                self.systemd.stop(&unit, STEP_STOP).await?;
                return Ok(Report::Failed(cause));
            }
            tokio::select! {
                _ = changes.next() => {}
                _ = tokio::time::sleep(BELT) => {}
                Ok(()) = wanted(&self.abort), if !self.abort_noted => {
                    self.systemd.stop(&unit, STEP_STOP).await?;
                    return Ok(Report::Failed(Cause::new("stopped, because an abort was asked")));
                }
            }
        }
    }

    async fn begin_gauge(&mut self, id: DeploymentId) {
        gauge::begin(self, id).await;
    }

    async fn end_gauge(&mut self) -> Option<Felt> {
        gauge::end(self).await
    }

    async fn unit(&mut self, name: &UnitName) -> Act<UnitNow> {
        Ok(self.systemd.state(name.as_str()).await?.into())
    }

    async fn start_unit(&mut self, name: &UnitName) -> Act<()> {
        let started = self.systemd.start(name.as_str(), self.settings.probe.deadline).await;
        if started.is_ok() {
            return started;
        }
        let state = self.systemd.state(name.as_str()).await?;
        let mut cause = Cause::new(format!("{name} could not be started: {}", state.words()));
        cause.unit = Some((name.to_string(), state.invocation));
        Err(cause)
    }

    async fn stop_unit(&mut self, name: &UnitName) -> Act<()> {
        let within = self.settings.service.stop_timeout;
        match self.settings.service.socket() {
            Some(serve) if self.settings.is_slot(name) => {
                self.systemd.end_run(name.as_str(), within.max(serve.drain) + SLOT_STOP).await?;
            }
            _ => self.systemd.stop(name.as_str(), within).await?,
        }
        self.systemd.forget(name.as_str()).await;
        Ok(())
    }

    async fn serving_slot(&mut self) -> Act<Slot> {
        Ok(files::serving(&self.settings.app).unwrap_or(Slot::A))
    }

    async fn set_serving(&mut self, slot: Option<Slot>) -> Act<()> {
        Self::io("the slot that serves cannot be chosen", files::set_serving(&self.settings.app, slot))
    }

    async fn accepting(&mut self, name: &UnitName) -> Act<()> {
        slots::accepting(&self.systemd, name).await
    }

    async fn drained(&mut self, name: &UnitName, within: Duration) -> Act<u64> {
        slots::drained(&self.systemd, name, within).await
    }

    async fn link(&mut self, link: Link) -> Act<Option<ReleaseId>> {
        Self::io("the link to the live release cannot be read", files::link_of(&self.settings.app, link))
    }

    async fn point(&mut self, link: Link, to: Option<ReleaseId>) -> Act<()> {
        Self::io("the link to the live release cannot be moved", files::point(&self.settings.app, link, to))
    }

    async fn has_release(&mut self, id: ReleaseId) -> Act<bool> {
        Ok(files::has_release(&self.settings.app, id))
    }

    async fn door_closed(&mut self) -> Act<bool> {
        Ok(files::door_closed(&self.settings.app))
    }

    async fn set_door(&mut self, closed: bool) -> Act<()> {
        Self::io("the door cannot be moved", files::set_door(&self.settings.app, closed))
    }

    async fn space(&mut self) -> Act<Vec<(PathBuf, u64)>> {
        Ok(files::space(&self.settings.app))
    }

    async fn settle(&mut self, release: ReleaseId) -> Act<()> {
        let settled = self.store.settle(&self.settings.app, release, self.id).await;
        settled.map_err(|error| Cause::new(super::chain(&error)))
    }

    async fn kept(&mut self) -> Act<Vec<ReleaseId>> {
        self.releases_kept().await
    }

    async fn proven_on(&mut self, revision: &Sha, schema: &[SchemaRevision]) -> Act<bool> {
        let proven = self.store.proven_on(&self.settings.app, revision, schema).await;
        proven.map_err(|error| Cause::new(super::chain(&error)))
    }

    async fn proven_backup(&mut self, schema: &[SchemaRevision]) -> Act<BackupName> {
        preflight::proven_backup(&self.settings, schema, now())
    }

    async fn earlier(&mut self) -> Act<Vec<Journal>> {
        let journals = self.store.earlier(&self.settings.app).await;
        let journals = journals.map_err(|error| Cause::new(super::chain(&error)))?;
        Ok(journals.into_iter().filter(|(id, _)| *id != self.id).map(|(_, journal)| journal).collect())
    }

    async fn journal_of(&mut self, release: ReleaseId) -> Act<Journal> {
        let journal = self.store.journal(DeploymentId(release.0)).await;
        journal.map_err(|error| Cause::new(super::chain(&error)))
    }

    async fn sealed(&mut self, release: ReleaseId, places: &[PathBuf]) -> Act<Vec<String>> {
        manifest::of(&paths::release(&self.settings.app, release), places)
    }

    async fn room(&mut self, bytes: u64) -> Act<()> {
        preflight::room(Path::new(paths::CLUSTERS), bytes)
    }

    async fn preflight(&mut self, lane: Lane) -> Act<()> {
        preflight::database(&Cluster::local(), self.database()?, lane).await
    }

    async fn schema(&mut self) -> Act<Vec<SchemaRevision>> {
        let database = self.database()?;
        match &database.migrations {
            Migrations::Alembic { table, .. } => {
                Cluster::local().schema_revisions(&database.name, table).await.map_err(asked)
            }
            Migrations::Django { .. } | Migrations::Commands { .. } => Ok(Vec::new()),
        }
    }

    async fn fingerprint(&mut self) -> Act<String> {
        let database = self.database()?;
        let books = match &database.migrations {
            Migrations::Alembic { table, .. } => Some(table.as_str()),
            Migrations::Django { .. } | Migrations::Commands { .. } => None,
        };
        Cluster::local().fingerprint(&database.name, books).await.map_err(asked)
    }

    async fn access(&mut self) -> Act<Option<String>> {
        Cluster::local().access(&self.database()?.name).await.map_err(asked)
    }

    async fn fence(&mut self) -> Act<Vec<String>> {
        Cluster::local().fence(&self.database()?.name).await.map_err(asked)
    }

    async fn admit(&mut self) -> Act<()> {
        let database = self.database()?;
        Cluster::local().admit(&database.name, &database.owner).await.map_err(asked)
    }

    async fn unfence(&mut self, original: Option<&str>) -> Act<()> {
        Cluster::local().unfence(&self.database()?.name, original).await.map_err(asked)
    }

    async fn twin(&mut self, again: bool) -> Act<()> {
        let twin = self.aside(Kind::Twin)?;
        Cluster::local().twin(&self.database()?.name, &twin, again).await.map_err(asked)
    }

    async fn settle_migration(&mut self) -> Act<()> {
        Cluster::local().settle_migration(&self.database()?.name).await.map_err(asked)?;
        Ok(())
    }

    async fn has_quarantine(&mut self) -> Act<bool> {
        let aside = self.aside(Kind::Quarantine)?;
        let leftovers = Cluster::local().leftovers(&self.database()?.name).await.map_err(asked)?;
        Ok(leftovers.iter().any(|leftover| leftover.aside == aside))
    }

    async fn swap_back(&mut self, original: Option<&str>) -> Act<()> {
        self.swap(Kind::Twin, Kind::Quarantine, original).await
    }

    async fn drop_twin(&mut self) -> Act<()> {
        let twin = self.aside(Kind::Twin)?;
        Cluster::local().drop(&self.database()?.name, &twin).await.map_err(asked)
    }

    async fn moment(&mut self) -> Act<String> {
        Cluster::local().moment().await.map_err(asked)
    }

    async fn make_room(&mut self, backup: &BackupName) -> Act<()> {
        self.room_for(backup).await
    }

    async fn drop_restored(&mut self) -> Act<()> {
        let restored = self.aside(Kind::Restored)?;
        Cluster::local().drop(&self.database()?.name, &restored).await.map_err(asked)
    }

    async fn swap_in(&mut self, original: Option<&str>) -> Act<()> {
        self.swap(Kind::Restored, Kind::Quarantine, original).await
    }

    async fn swap_out(&mut self, original: Option<&str>) -> Act<()> {
        self.swap(Kind::Quarantine, Kind::Restored, original).await
    }

    async fn count_aside(&mut self, snapshot: Option<&str>, backup: Option<&BackupName>) -> Act<Vec<Leaving>> {
        self.count(snapshot, backup).await
    }

    async fn forget_old_databases(&mut self) -> Act<()> {
        self.forget_asides().await
    }
}
