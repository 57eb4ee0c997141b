//! Taking, proving and pruning backups outside of deployments.
//!
//! None is begun while a deployment of the application is open. A deployment is refused while a backup is being written,
//! which takes some seconds for each GB; a proof, which takes longer and touches nothing of production, gives way and
//! is stopped.

use std::sync::Arc;

use tokio::sync::watch;

use super::Daemon;
use super::orders::broken;
use crate::api::{Caller, Kind as Refused, Refusal};
use crate::config::Settings;
use crate::deploy::world::{StepNow, World};
use crate::events::Event;
use crate::host::machine::{Machine, now};
use crate::host::{backups, chain, files};
use crate::model::backup::Doomed;
use crate::model::care::{Care, CareView, Kind, Part, Progress};
use crate::model::journal::{Cause, Output};
use crate::model::names::{App, BackupName, DeploymentId};
use crate::model::request::{Report, Request, Work};
use crate::model::retention::{self, Kept, Rule};
use crate::store::StoreError;

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
        let mut names = all.iter().map(|view| &view.row.name);
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

    async fn open_deployment(&self, app: &App) -> Result<Option<(App, DeploymentId)>, Refusal> {
        let open = self.store.open_deployments().await.map_err(broken)?;
        Ok(open.into_iter().find(|(of, _)| of == app))
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
                    end_with(&mut care, Cause::new(why));
                    self.store.keep_care(id, &care).await?;
                    tell(&app, id, &care);
                }
            }
        }
        Ok(())
    }

    fn launch_care(self: &Arc<Self>, settings: Settings, id: u32, mut care: Care) {
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
            tell(&app, id, &care);
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
        let mut machine = Machine {
            settings: settings.clone(),
            id: DeploymentId(0),
            written: 0,
            store: self.store.clone(),
            systemd: self.systemd.clone(),
            boot: self.boot.clone(),
            abort: stop.clone(),
            abort_noted: false,
            news: self.news.clone(),
        };
        while let Some(part) = care.next() {
            let attached = care.open().is_some();
            if !attached && !self.may_begin(&settings.app, part).await {
                close(care, begun(part, String::new()), "skipped", "a deployment runs: left for the next time", None);
                self.store.keep_care(id, care).await?;
                continue;
            }
            let outcome = self.take_part(settings, id, care, part, attached, &mut machine).await?;
            let stopped = stop.borrow().is_some() && outcome.is_err();
            let progress = care.parts.pop().unwrap_or_else(|| begun(part, String::new()));
            match outcome {
                Ok(out) => {
                    if let Output::BackedUp { name, .. } = &out {
                        care.backup = name.parse().ok();
                    }
                    // What was not tried is not done.
                    let state = if matches!(out, Output::Closed { .. }) { "skipped" } else { "done" };
                    close(care, progress, state, &super::views::detail(&out), None);
                }
                // It is tried again with the next one: the backup is no worse for it.
                Err(cause) if part == Part::Push => close(care, progress, "late", &cause.what.clone(), Some(cause)),
                Err(_) if stopped => {
                    let again = |name| match part {
                        Part::Prove => format!("`tsh-agent backup verify {name}` begins again"),
                        _ => "`tsh-agent backup now` takes another".to_owned(),
                    };
                    let what = "stopped, because a deployment began; that says nothing about the backup";
                    let cause = Cause { hint: care.backup.as_ref().map(again), ..Cause::new(what) };
                    close(care, progress, "failed", &cause.what.clone(), Some(cause));
                }
                Err(cause) => close(care, progress, "failed", &cause.what.clone(), Some(cause)),
            }
            self.store.keep_care(id, care).await?;
        }
        Ok(())
    }

    /// Whether a part may begin now. It is decided together with the acceptance of deployments.
    async fn may_begin(&self, app: &App, part: Part) -> bool {
        let _gate = self.gate.lock().await;
        let free = !part.is_exclusive() || matches!(self.open_deployment(app).await, Ok(None));
        if free && let Some(caring) = self.caring().get_mut(app) {
            caring.exclusive = part.is_exclusive();
        }
        free
    }

    /// Runs the part's unit, or goes on with one that runs.
    async fn take_part(
        &self,
        settings: &Settings,
        id: u32,
        care: &mut Care,
        part: Part,
        attached: bool,
        machine: &mut Machine,
    ) -> Result<Result<Output, Cause>, StoreError> {
        let kind = part.unit_kind();
        let mut running = false;
        if attached {
            let before = care.open().map(|open| open.before.clone()).unwrap_or_default();
            running = !matches!(machine.look_step(kind, &before).await, Ok(StepNow::Idle) | Err(_));
            if !running {
                care.parts.pop();
            }
        }
        if !running {
            let work = match self.work(settings, care, part).await {
                Ok(Some(work)) => work,
                Ok(None) => {
                    care.parts.push(begun(part, String::new()));
                    return Ok(Ok(Output::Forgotten { backups: Vec::new() }));
                }
                Err(cause) => {
                    care.parts.push(begun(part, String::new()));
                    return Ok(Err(cause));
                }
            };
            let before = machine.clear_step(kind).await;
            care.parts.push(begun(part, before.clone().unwrap_or_default()));
            self.store.keep_care(id, care).await?;
            if let Err(cause) = before {
                return Ok(Err(cause));
            }
            if let Err(cause) = machine.begin_step(kind, &Request::alone(work)).await {
                return Ok(Err(cause));
            }
        }
        let before = care.open().map(|open| open.before.clone()).unwrap_or_default();
        Ok(match machine.finish_step(kind, &before, &[]).await {
            Ok(Report::Done(out)) => Ok(out),
            Ok(Report::Failed(cause)) | Err(cause) => Err(cause),
        })
    }

    /// What the part's unit is asked; `None`: nothing has to be done.
    async fn work(&self, settings: &Settings, care: &Care, part: Part) -> Result<Option<Work>, Cause> {
        let app = &settings.app;
        match part {
            Part::Backup => {
                let running = files::link(app).ok().flatten();
                let built = match running {
                    Some(release) => self.store.built(release).await.ok().flatten(),
                    None => None,
                };
                Ok(Some(Work::Backup { running, revision: built.map(|built| built.revision) }))
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

    /// The backups that are no longer kept.
    pub(super) async fn doomed(&self, settings: &Settings) -> Result<Vec<Doomed>, Refusal> {
        let app = &settings.app;
        let mut kept = Vec::new();
        for view in backups::all(app).map_err(unreadable)? {
            // Nobody knows what one is that does not say it itself: a person must look.
            let Some(at) = view.row.at else { continue };
            let needed = match view.row.deployment {
                Some(deployment) => self.may_need(app, deployment).await?,
                None => false,
            };
            let (proven, damaged) = (view.row.is_proven(), view.row.problem.is_some());
            kept.push(Kept { name: view.row.name, at, bytes: view.row.bytes, proven, damaged, needed });
        }
        let rule = settings.backup.clone();
        let rule = Rule { keep_days: rule.keep_days, min_keep: rule.min_keep, max_bytes: rule.max_bytes };
        let doomed = retention::doomed(&kept, rule, now()).into_iter();
        let bytes =
            |name: &BackupName| kept.iter().find(|backup| backup.name == *name).map_or(0, |backup| backup.bytes);
        Ok(doomed.map(|(name, why)| Doomed { bytes: bytes(&name), why: why.words().to_owned(), name }).collect())
    }

    /// Whether the backup of a deployment may still be wanted: its release is kept, or it has not come to a good end.
    async fn may_need(&self, app: &App, deployment: DeploymentId) -> Result<bool, Refusal> {
        let Some((row, _)) = self.store.deployment(deployment).await.map_err(broken)? else { return Ok(false) };
        Ok(row.ended.is_none() || row.state == "needs-operator" || files::has_release(app, row.release))
    }

    /// One care; while a part runs, with what it said last.
    pub(super) async fn care_of(&self, id: u32) -> Result<CareView, Refusal> {
        let found = self.store.care(id).await.map_err(broken)?;
        let mut view = found.ok_or_else(|| Refusal::new(Refused::NotFound, format!("there is no backup run {id}")))?;
        let runs_here = self.caring().get(&view.app).is_some_and(|caring| caring.id == id);
        if let Some(part) = view.care.parts.last_mut().filter(|part| runs_here && part.state == "running") {
            let said = crate::host::step_output::last_lines(&view.app, part.part.unit_kind(), 1);
            part.detail = said.into_iter().next().unwrap_or_default();
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

fn begun(part: Part, before: String) -> Progress {
    Progress { part, state: "running".to_owned(), began: now(), took: None, detail: String::new(), before, cause: None }
}

fn close(care: &mut Care, mut progress: Progress, state: &str, detail: &str, cause: Option<Cause>) {
    progress.state = state.to_owned();
    progress.took = Some(now() - progress.began);
    progress.detail = detail.to_owned();
    progress.cause = cause;
    care.parts.push(progress);
}

/// Ends a care that cannot go on.
fn end_with(care: &mut Care, cause: Cause) {
    let part = care.next().unwrap_or(Part::Backup);
    let progress = match care.open() {
        Some(_) => care.parts.pop(),
        None => None,
    };
    close(care, progress.unwrap_or_else(|| begun(part, String::new())), "failed", &cause.what.clone(), Some(cause));
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
