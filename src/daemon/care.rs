//! Taking, proving and pruning backups outside of deployments.
//!
//! None is begun while a deployment of the application is open. A deployment is refused while a backup is being written,
//! which takes some seconds for each GB; a proof, which takes longer and touches nothing of production, gives way and
//! is stopped.

mod run;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Daemon;
use super::orders::broken;
use crate::api::{Caller, Kind as Refused, Refusal};
use crate::config::Settings;
use crate::events::Event;
use crate::host::machine::now;
use crate::host::{backups, chain, files, step_output};
use crate::model::backup::BackupRow;
use crate::model::care::{Care, CareView, Kind, Part};
use crate::model::journal::Cause;
use crate::model::names::{App, BackupName, DeploymentId};
use crate::model::request::Work;
use crate::store::{Store, StoreError};

/// Where the record of a care is kept.
struct Kept<'a> {
    store: &'a Store,
    id: u32,
}

impl run::Record for Kept<'_> {
    async fn keep(&mut self, care: &Care) -> Result<(), StoreError> {
        self.store.keep_care(self.id, care).await
    }
}

/// A care that runs now.
pub(super) struct Caring {
    id: u32,
    kind: Kind,
    by: String,
    /// Whether a deployment must not begin.
    exclusive: bool,
    stop: watch::Sender<Option<String>>,
}

impl Daemon {
    /// Accepts a care of the application's backups.
    pub(super) async fn order_care(
        self: &Arc<Self>,
        by: Caller,
        app: App,
        kind: Kind,
        backup: Option<BackupName>,
    ) -> Result<u32, Refusal> {
        let settings = self.settings(&app)?;
        if settings.database.is_none() {
            let what = format!("{app} has no [database], so there is nothing to back up");
            return Err(Refusal::new(Refused::NotPossible, what));
        }
        let backup = match (kind, backup) {
            (Kind::Verify, wanted) => Some(Self::which(&app, wanted)?),
            (Kind::Push, _) if settings.offsite.is_none() => {
                let what = format!("{app} has no [offsite], so there is nowhere to carry backups to");
                return Err(Refusal::new(Refused::NotPossible, what));
            }
            (_, backup) => backup,
        };
        let _gate = self.gate.lock().await;
        if let Some((_, id)) = self.open_deployment(&app).await? {
            let what = format!("deployment {id} of {app} is running, and backups wait until it has ended");
            return Err(Refusal::new(Refused::Busy, what).hint(format!("`tsh-agent watch {id}` follows it")));
        }
        // The timer speaks as the agent's own user.
        let by = if by.name == crate::database::AGENT { "the timer".to_owned() } else { by.name };
        let mut care = Care::new(kind, by, self.boot.clone(), backup);
        care.without.extend(settings.backup.folders.is_empty().then_some(Part::Folders));
        care.without.extend(settings.offsite.is_none().then_some(Part::Push));
        match self.store.begin_care(&app, &care, now()).await {
            Ok(id) => {
                tracing::info!(tsh_app = %app, "{} {id} of {app} accepted from {}", kind.words(), care.by);
                self.launch_care(settings, id, care);
                Ok(id)
            }
            Err(StoreError::Busy) => Err(self.other_care(&app)),
            Err(error) => Err(broken(error)),
        }
    }

    fn which(app: &App, wanted: Option<BackupName>) -> Result<BackupName, Refusal> {
        let all = backups::all(app).map_err(unreadable)?;
        // The newest is one of the live database.
        let own = |row: &&BackupRow| wanted.is_some() || row.quarantine.is_none();
        let mut names = all.iter().map(|view| &view.row).filter(own).map(|row| &row.name);
        let found = match &wanted {
            Some(wanted) => names.find(|name| *name == wanted),
            None => names.next(),
        };
        found.cloned().ok_or_else(|| match wanted {
            Some(wanted) => no_backup(app, &wanted),
            None => Refusal::new(Refused::NotFound, format!("{app} has no backup yet"))
                .hint("`tsh-agent backup now` takes one"),
        })
    }

    pub(super) async fn open_deployment(&self, app: &App) -> Result<Option<(App, DeploymentId)>, Refusal> {
        // One that waits for its gates, perhaps for days, touches nothing; before it goes on it lets a backup end.
        let last = self.store.history(Some(app), 1).await.map_err(broken)?;
        Ok(last.into_iter().find(|row| row.state == "running").map(|row| (row.app, row.id)))
    }

    fn other_care(&self, app: &App) -> Refusal {
        let what = match self.caring().get(app) {
            Some(care) => format!("a {} of {app} is running (asked for by {})", care.kind.words(), care.by),
            None => format!("a backup of {app} is not settled yet"),
        };
        Refusal::new(Refused::Busy, what).hint("`tsh-agent backup list` shows when there is a new one")
    }

    /// Makes way for a deployment that is about to be accepted; the gate is held.
    pub(super) fn make_way(&self, app: &App) -> Result<(), Refusal> {
        let caring = self.caring();
        match caring.get(app) {
            Some(care) if care.exclusive => {
                let what = format!(
                    "a {} of {app} is being written (asked for by {}), and a deployment would change what it reads",
                    care.kind.words(),
                    care.by
                );
                Err(Refusal::new(Refused::Busy, what).hint("it takes some seconds for each GB: deploy again then"))
            }
            Some(care) => {
                care.stop.send_replace(Some("a deployment".to_owned()));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Takes up what was open when the core went down.
    pub(super) async fn resume_cares(self: &Arc<Self>) -> Result<(), StoreError> {
        for CareView { id, app, mut care, .. } in self.store.open_cares().await? {
            match crate::config::load(&app) {
                Ok(settings) if care.boot == self.boot => self.launch_care(settings, id, care),
                other => {
                    let why = match other {
                        Ok(_) => "the machine was restarted meanwhile; what was half done is swept away".to_owned(),
                        Err(error) => error.to_string(),
                    };
                    run::end_with(&mut care, Cause::new(why));
                    self.store.keep_care(id, &care).await?;
                    tell(&app, id, &care);
                }
            }
        }
        Ok(())
    }

    pub(super) fn launch_care(self: &Arc<Self>, settings: Settings, id: u32, mut care: Care) {
        let (stop, asked) = watch::channel(None);
        let exclusive = care.next().is_some_and(Part::is_exclusive);
        let caring = Caring { id, kind: care.kind, by: care.by.clone(), exclusive, stop };
        self.caring().insert(settings.app.clone(), caring);
        let daemon = Arc::clone(self);
        tokio::spawn(async move {
            let app = settings.app.clone();
            while let Err(error) = daemon.take_care(&settings, id, &mut care, asked.clone()).await {
                tracing::error!(tsh_app = %app, "{} {id} of {app} is halted: {}", care.kind.words(), chain(&error));
                tokio::time::sleep(super::AGAIN).await;
            }
            daemon.caring().remove(&app);
            daemon.changes.send_replace(());
            daemon.make_room(&app);
            tell(&app, id, &care);
            // Only after a good end, or what fails would be tried again and again; and not after what a person asked for.
            if care.failure().is_none() && matches!(care.kind, Kind::Daily | Kind::Prune | Kind::Quarantine) {
                daemon.tend(&settings).await;
            }
        });
    }

    /// Does one part after another.
    async fn take_care(
        self: &Arc<Self>,
        settings: &Settings,
        id: u32,
        care: &mut Care,
        stop: watch::Receiver<Option<String>>,
    ) -> Result<(), StoreError> {
        let (_, mut nobody) = mpsc::unbounded_channel();
        let mut machine = self.machine(settings, DeploymentId(0), 0, stop.clone(), &mut nobody);
        while let Some(part) = care.next() {
            let attached = care.open().is_some();
            if !attached && !self.may_begin(&settings.app, part).await {
                self.until_settled().await;
                continue;
            }
            let asked = care.clone();
            let work = self.work(settings, &asked, part);
            let mut record = Kept { store: &self.store, id };
            let outcome = run::take(&mut machine, &mut record, care, part, work).await?;
            let stopped = stop.borrow().is_some() && outcome.is_err();
            if let Some(caring) = self.caring().get(&settings.app).filter(|_| stopped) {
                caring.stop.send_replace(None);
            }
            run::conclude(care, part, outcome, stopped);
            self.store.keep_care(id, care).await?;
        }
        Ok(())
    }

    /// Whether a part may begin now. It is decided together with the acceptance of deployments.
    async fn may_begin(&self, app: &App, part: Part) -> bool {
        let _gate = self.gate.lock().await;
        let free = matches!(self.open_deployment(app).await, Ok(None));
        if let Some(caring) = self.caring().get_mut(app) {
            caring.exclusive = free && part.is_exclusive();
        }
        free
    }

    /// Waits until a deployment has ended, or for as long as makes it worth to look again.
    async fn until_settled(&self) {
        let _ = tokio::time::timeout(super::AGAIN, self.settled.notified()).await;
    }

    /// What the part's unit is asked; `None`: nothing has to be done.
    async fn work(&self, settings: &Settings, care: &Care, part: Part) -> Result<Option<Work>, Cause> {
        let app = &settings.app;
        match part {
            Part::Backup => {
                if care.quarantine.is_some() {
                    return Ok(Some(Work::Backup { running: None, revision: None, quarantine: care.quarantine }));
                }
                let running = files::link(app).ok().flatten();
                let built = match running {
                    Some(release) => self.store.built(release).await.ok().flatten(),
                    None => None,
                };
                Ok(Some(Work::Backup { running, revision: built.map(|built| built.revision), quarantine: None }))
            }
            Part::Folders => {
                let backup = care.backup.clone().ok_or_else(|| Cause::new("there is no backup to add folders to"))?;
                Ok(Some(Work::Folders { backup }))
            }
            Part::Push => Ok(super::offsite::unsent(app)?.map(|backups| Work::Push { backups })),
            Part::Prove => {
                let backup = care.backup.clone().ok_or_else(|| Cause::new("there is no backup to prove"))?;
                Ok(Some(Work::Prove { backup }))
            }
            Part::Prune => {
                let doomed = self.doomed(settings).await.map_err(|refusal| Cause::new(refusal.what))?;
                let backups: Vec<BackupName> = doomed.into_iter().map(|doomed| doomed.name).collect();
                Ok(Some(Work::Forget { backups }).filter(|work| *work != Work::Forget { backups: Vec::new() }))
            }
        }
    }

    /// One care; while a part runs, with what it said last.
    pub(super) async fn care_of(&self, id: u32) -> Result<CareView, Refusal> {
        let found = self.store.care(id).await.map_err(broken)?;
        let mut view = found.ok_or_else(|| Refusal::new(Refused::NotFound, format!("there is no backup run {id}")))?;
        let runs_here = self.caring().get(&view.app).is_some_and(|caring| caring.id == id);
        if let Some(part) = view.care.parts.last_mut().filter(|part| runs_here && part.state == "running") {
            let (app, kind) = (&view.app, part.part.unit_kind());
            let far = step_output::progress(app, kind, part.began);
            part.detail = far.or_else(|| step_output::last_lines(app, kind, 1).pop()).unwrap_or_default();
        }
        Ok(view)
    }
}

pub(super) fn unreadable(error: std::io::Error) -> Refusal {
    Refusal::new(Refused::Internal, format!("the backups cannot be read: {error}"))
        .hint("`sudo tsh-agent init` again gives the folder its owner back")
}

pub(super) fn no_backup(app: &App, name: &BackupName) -> Refusal {
    Refusal::new(Refused::NotFound, format!("{app} has no backup {name}")).hint("`tsh-agent backup list` lists them")
}

fn tell(app: &App, id: u32, care: &Care) {
    let (words, backup) = (care.kind.words(), care.backup.as_ref().map(BackupName::as_str).unwrap_or_default());
    match care.failure() {
        Some(failure) => tracing::error!(
            tsh_app = %app, tsh_step = failure.part.word(), message_id = Event::BackupFailed.id(),
            "{words} {id} of {app} {backup} failed: {}", failure.detail
        ),
        None => super::offsite::tell(app, id, care),
    }
}
