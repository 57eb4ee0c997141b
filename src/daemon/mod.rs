//! The core: `tsh-agent core`. It owns the deployments; clients only watch.

mod adopt;
mod alarm;
mod announce;
mod audit;
mod care;
mod check;
mod diff;
mod expect;
mod gates;
mod going_back;
mod keep;
mod keys;
mod maintenance;
mod metrics;
mod notices;
mod offsite;
mod orders;
mod pin;
mod plan;
mod pushes;
mod recover;
mod restore;
mod service;
mod status;
mod views;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::config::Settings;
use crate::deploy::engine::Engine;
use crate::host::machine::Machine;
use crate::host::rest::Wake;
use crate::host::systemd::Systemd;
use crate::host::{ballast, chain, notify};
use crate::model::journal::Fact;
use crate::model::machine;
use crate::model::names::{App, DeploymentId};
use crate::paths;
use crate::store::Store;

pub use recover::recover;

/// Before the journal is tried again that could not be written.
const AGAIN: Duration = Duration::from_secs(5);

/// What is told about a deployment: the application, its number and the entry.
type News = (App, DeploymentId, Fact);

/// The core's state in memory.
struct Daemon {
    store: Store,
    systemd: Systemd,
    boot: String,
    running: Mutex<HashMap<App, Running>>,
    caring: Mutex<HashMap<App, care::Caring>>,
    /// What waits of each application with pushes, and since when it is worth another attempt.
    attending: Mutex<HashMap<App, pushes::Attending>>,
    /// Something may have changed for a push that waits.
    wake: tokio::sync::Notify,
    /// Something has changed that a program may have asked after.
    changes: watch::Sender<()>,
    /// Held while it is decided whether a deployment or a backup may begin.
    gate: tokio::sync::Mutex<()>,
    /// Held by who asks the repository for a plan: one after another.
    planning: tokio::sync::Mutex<()>,
    /// Told whenever a deployment has ended.
    settled: tokio::sync::Notify,
    news: mpsc::UnboundedSender<News>,
    /// Wakes whoever tells people outside.
    post: tokio::sync::Notify,
    anchors: audit::Anchors,
}

/// A deployment that runs now.
struct Running {
    id: DeploymentId,
    abort: watch::Sender<Option<String>>,
    wake: mpsc::UnboundedSender<Wake>,
}

/// Why the core cannot run.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The boot has no id.
    #[error("the id of this boot is not known: neither TSH_BOOT_ID nor /proc/sys/kernel/random/boot_id tells it")]
    Boot,
    /// The state cannot be used.
    #[error("the state cannot be used")]
    Store(#[from] crate::store::StoreError),
    /// The bus cannot be used.
    #[error("the system bus cannot be used")]
    Bus(#[from] zbus::Error),
    /// The bus went away; the service manager starts the core again.
    #[error("the system bus went away")]
    BusGone,
    /// The system refuses.
    #[error("the core cannot wait for signals")]
    Signals(#[source] std::io::Error),
}

/// Runs until it is told to stop. Deployments go on when it comes back.
///
/// # Errors
/// If it cannot start, or the bus goes away.
pub async fn run() -> Result<(), CoreError> {
    let boot = boot_id().ok_or(CoreError::Boot)?;
    let store = Store::open(&Path::new(paths::STATE).join("state.db")).await?;
    let bus = zbus::connection::Builder::system().build().await?;
    let systemd = Systemd::new(&bus).await?;
    let (news, heard) = mpsc::unbounded_channel();
    let anchors = audit::Anchors::begin(&store).await?;
    let daemon = Arc::new(Daemon {
        store,
        anchors,
        systemd,
        boot,
        running: Mutex::default(),
        caring: Mutex::default(),
        attending: Mutex::default(),
        wake: tokio::sync::Notify::new(),
        changes: watch::Sender::new(()),
        gate: tokio::sync::Mutex::default(),
        planning: tokio::sync::Mutex::default(),
        settled: tokio::sync::Notify::new(),
        news,
        post: tokio::sync::Notify::new(),
    });

    let served =
        crate::api::serve(zbus::connection::Builder::system(), Arc::new(service::Service(Arc::clone(&daemon)))).await?;
    tokio::spawn(announce::announce(Arc::clone(&daemon), served.clone(), heard));
    daemon.resume_all().await?;
    daemon.resume_cares().await?;
    daemon.resume_maintenance().await;
    tokio::spawn(notices::tell(Arc::clone(&daemon)));
    tokio::spawn(Arc::clone(&daemon).attend());
    tokio::spawn(Arc::clone(&daemon).keep_metrics());
    notify::status("ready");
    notify::ready();

    let mut stop = signal(SignalKind::terminate()).map_err(CoreError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CoreError::Signals)?;
    tokio::select! {
        _ = stop.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = watchdog() => Ok(()),
        () = lost(&bus) => Err(CoreError::BusGone),
        () = lost(&served) => Err(CoreError::BusGone),
    }
}

/// The kernel's id of this boot. The sandbox hides `/proc/sys`, so the unit passes it.
fn boot_id() -> Option<String> {
    let given = std::env::var("TSH_BOOT_ID").ok();
    let read = || std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    let boot = given.or_else(read)?.replace('-', "");
    let boot = boot.trim().to_owned();
    (!boot.is_empty()).then_some(boot)
}

async fn watchdog() {
    let Some(period) = notify::watchdog() else { return std::future::pending().await };
    loop {
        notify::alive();
        tokio::time::sleep(period / 2).await;
    }
}

async fn lost(bus: &zbus::Connection) {
    use futures_util::StreamExt;
    let mut messages = zbus::MessageStream::from(bus);
    while messages.next().await.is_some() {}
}

impl Daemon {
    fn running(&self) -> MutexGuard<'_, HashMap<App, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn caring(&self) -> MutexGuard<'_, HashMap<App, care::Caring>> {
        self.caring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up every deployment that was open when the core went down.
    async fn resume_all(self: &Arc<Self>) -> Result<(), CoreError> {
        for (app, id) in self.store.open_deployments().await? {
            match crate::config::load(&app) {
                Ok(settings) => self.launch(settings, id),
                // Nothing is guessed without the settings; the deployment stays open until they can be read.
                Err(error) => tracing::error!(tsh_app = %app, tsh_deployment = id.0, "deployment {id} waits: {error}"),
            }
        }
        Ok(())
    }

    /// The machine, for a deployment whose journal has so many entries; number 0 is for what belongs to none.
    fn machine<'a>(
        &self,
        settings: &Settings,
        id: DeploymentId,
        written: usize,
        abort: watch::Receiver<Option<String>>,
        wake: &'a mut mpsc::UnboundedReceiver<Wake>,
    ) -> Machine<'a> {
        Machine {
            settings: settings.clone(),
            id,
            written,
            store: self.store.clone(),
            systemd: self.systemd.clone(),
            boot: self.boot.clone(),
            abort,
            abort_noted: false,
            wake,
            superseded_by: None,
            news: self.news.clone(),
        }
    }

    /// Forgets a deployment that has ended; a newer one may be here already, for it waits only for the end on record.
    fn forget(&self, app: &App, id: DeploymentId) {
        let mut running = self.running();
        if running.get(app).is_some_and(|running| running.id == id) {
            running.remove(app);
        }
    }

    /// Carries a deployment out in the background, from wherever its journal is.
    fn launch(self: &Arc<Self>, settings: Settings, id: DeploymentId) {
        let (abort, asked) = watch::channel(None);
        let (wake, mut woken) = mpsc::unbounded_channel();
        self.running().insert(settings.app.clone(), Running { id, abort, wake });
        let daemon = Arc::clone(self);
        tokio::spawn(async move {
            let app = settings.app.clone();
            while let Err(error) = daemon.carry_out(settings.clone(), id, asked.clone(), &mut woken).await {
                tracing::error!(tsh_app = %app, tsh_deployment = id.0, "deployment {id} is halted: {error}");
                notify::status(&format!("deployment {id} is halted: {error}"));
                tokio::time::sleep(AGAIN).await;
            }
            daemon.forget(&app, id);
            daemon.settled.notify_waiters();
            daemon.make_room(&app);
        });
    }

    async fn carry_out(
        self: &Arc<Self>,
        settings: Settings,
        id: DeploymentId,
        abort: watch::Receiver<Option<String>>,
        wake: &mut mpsc::UnboundedReceiver<Wake>,
    ) -> Result<(), String> {
        let journal = self.store.journal(id).await.map_err(|error| chain(&error))?;
        if let Err(error) = ballast::take(Path::new(paths::STATE)) {
            tracing::warn!("there is no room in reserve for the journal: {error}");
        }
        let fresh = journal.0.len() == 1;
        let mut world = self.machine(&settings, id, journal.0.len(), abort, wake);
        let mut engine = Engine { world: &mut world, settings: &settings, id, journal, decide: machine::next };
        let settled = if fresh { engine.run().await } else { engine.resume().await };
        settled.map(|_| ()).map_err(|error| error.to_string())
    }
}
