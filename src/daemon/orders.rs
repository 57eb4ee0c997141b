//! Accepting orders: deploy, rollback, abort.

use std::sync::Arc;

use super::Daemon;
use crate::api::{Caller, Kind, Refusal};
use crate::config::{ConfigError, Settings, Strategy};
use crate::host::{chain, files, machine::now};
use crate::model::audit::Who;
use crate::model::gates::Override;
use crate::model::journal::{Entry, Fact, Goal, Order};
use crate::model::machine;
use crate::model::names::{App, DeploymentId, ReleaseId, Wanted};
use crate::model::outcome::Verdict;
use crate::model::step::Step;
use crate::model::trigger::Trigger;
use crate::store::StoreError;

impl Daemon {
    pub(super) async fn order_deploy(
        self: &Arc<Self>,
        by: Caller,
        app: App,
        wanted: Option<Wanted>,
        force: bool,
        overrides: Vec<Override>,
    ) -> Result<DeploymentId, Refusal> {
        let settings = self.settings(&app)?;
        self.nothing_stuck(&app).await?;
        let words = wanted.as_ref().map_or_else(|| settings.source.branch.clone(), ToString::to_string);
        let who = by.who();
        let order = Order { overrides, who, ..self.order(&settings, Goal::Revision(wanted), by.name, force).await? };
        self.accept(settings, "deploy", &words, order, None).await
    }

    pub(super) async fn order_rollback(
        self: &Arc<Self>,
        by: Caller,
        app: App,
        to: Option<DeploymentId>,
    ) -> Result<DeploymentId, Refusal> {
        let settings = self.settings(&app)?;
        self.nothing_stuck(&app).await?;
        let release = self.release_to_go_back_to(&app, to).await?;
        let who = by.who();
        let mut order = Order { who, ..self.order(&settings, Goal::Release(release), by.name, true).await? };
        order.revision = self.store.built(release).await.map_err(broken)?.map(|built| built.revision);
        let words = format!("release {release}");
        self.accept(settings, "rollback", &words, order, None).await
    }

    /// The release of deployment `to`, or the one before the live one; it is kept, and not live.
    pub(super) async fn release_to_go_back_to(
        &self,
        app: &App,
        to: Option<DeploymentId>,
    ) -> Result<ReleaseId, Refusal> {
        let live = Self::live(app)?;
        let good = self.store.good(app).await.map_err(broken)?;
        // After a failure behind the commit point another release is live than the good one, which is then the one to
        // go back to.
        let release = match (to, good.filter(|good| live != Some(*good) && files::has_release(app, *good))) {
            (Some(id), _) => self.release_of(app, id).await?,
            (None, Some(good)) => good,
            (None, None) => self.release_before(app, live).await?,
        };
        if live == Some(release) {
            return Err(Refusal::new(Kind::NotPossible, format!("release {release} is live already")));
        }
        if !files::has_release(app, release) {
            let what = format!("release {release} is not kept any more");
            let hint = "`tsh-agent history` shows revisions: deploy the one you want again";
            return Err(Refusal::new(Kind::NotFound, what).hint(hint));
        }
        Ok(release)
    }

    pub(super) async fn order_abort(self: &Arc<Self>, by: Caller, id: DeploymentId) -> Result<(), Refusal> {
        let journal = self.store.journal(id).await.map_err(broken)?;
        let Some((row, _)) = self.store.deployment(id).await.map_err(broken)? else {
            return Err(Refusal::no_deployment(id));
        };
        let committed = machine::committed(&journal);
        match journal.verdict() {
            Some(Verdict::NeedsOperator) if !committed => {
                let settings = self.settings(&row.app)?;
                let entry = Entry { at: now(), boot: self.boot.clone(), fact: Fact::Retried { by: by.name } };
                self.store.append(&row.app, id, journal.0.len(), &entry).await.map_err(broken)?;
                self.launch(settings, id);
                Ok(())
            }
            Some(verdict) => {
                let what = format!("deployment {id} has ended: {}", verdict.word());
                Err(Refusal::new(Kind::NotPossible, what))
            }
            None if committed => {
                let what = format!("deployment {id} is past its commit point: requests are let in already");
                Err(Refusal::new(Kind::NotPossible, what).hint("wait for its end, then `tsh-agent rollback`"))
            }
            None if machine::going_back(&journal) => {
                let what = format!("deployment {id} is being undone already");
                Err(Refusal::new(Kind::NotPossible, what).hint(format!("`tsh-agent watch {id}` shows it")))
            }
            None => {
                let running = self.running();
                let Some(running) = running.get(&row.app).filter(|running| running.id == id) else {
                    return Err(Refusal::new(Kind::NotPossible, format!("deployment {id} waits to be taken up")));
                };
                running.abort.send_replace(Some(by.name));
                Ok(())
            }
        }
    }

    pub(super) fn settings(&self, app: &App) -> Result<Settings, Refusal> {
        crate::config::load(app).map_err(|error| unusable(app, &error))
    }

    /// A deployment that left the door closed or the fence up must be settled before the next one begins: what the
    /// next one would take for the normal state is not.
    pub(super) async fn nothing_stuck(&self, app: &App) -> Result<(), Refusal> {
        let last = self.store.history(Some(app), 1).await.map_err(broken)?;
        let Some(last) = last.first().filter(|row| row.state == Verdict::NeedsOperator.word()) else { return Ok(()) };
        let journal = self.store.journal(last.id).await.map_err(broken)?;
        if machine::committed(&journal) || !journal.touched(Step::Close) {
            return Ok(());
        }
        let what = format!("deployment {} of {app} could not be undone: the door may be closed", last.id);
        let hint =
            format!("`tsh-agent show {0}` says why; when that is mended, `tsh-agent abort {0}` undoes it", last.id);
        Err(Refusal::new(Kind::NeedsOperator, what).hint(hint))
    }

    /// What is live is what the link says. That may be another release than the one that was last verified: after a
    /// deployment that needed an operator past its commit point.
    pub(super) fn live(app: &App) -> Result<Option<ReleaseId>, Refusal> {
        let link = files::link(app).map_err(|error| {
            Refusal::new(Kind::Internal, format!("the link to the live release cannot be read: {error}"))
        })?;
        Ok(link.filter(|live| files::has_release(app, *live)))
    }

    pub(super) async fn order(
        &self,
        settings: &Settings,
        goal: Goal,
        by: String,
        force: bool,
    ) -> Result<Order, Refusal> {
        let app = &settings.app;
        let from = Self::live(app)?;
        let built = match from {
            Some(from) => self.store.built(from).await.map_err(broken)?,
            None => None,
        };
        // Only what was verified need not be deployed again.
        let force = force || from != self.store.good(app).await.map_err(broken)?;
        // With nothing live, nothing runs beside which the release could be started.
        let slots = from.is_some() && settings.service.socket().is_some_and(|serve| serve.strategy == Strategy::Slots);
        Ok(Order {
            goal,
            from,
            from_revision: built.map(|built| built.revision),
            revision: None,
            who: Who::default(),
            by,
            force,
            slots,
            trigger: Trigger::Person,
            overrides: Vec::new(),
        })
    }

    /// Accepts an order; `push` is the newest push that it answers, if it answers any.
    pub(super) async fn accept(
        self: &Arc<Self>,
        settings: Settings,
        kind: &str,
        words: &str,
        order: Order,
        push: Option<u32>,
    ) -> Result<DeploymentId, Refusal> {
        let app = settings.app.clone();
        let _gate = self.gate.lock().await;
        self.make_way(&app)?;
        if order.trigger.is_automatic() && self.store.busy().await.map_err(broken)?.contains(&app) {
            return Err(self.busy(&app).await);
        }
        self.supersede(&app, &order.by).await?;
        match self.store.accept(&app, kind, words, order.clone(), now(), &self.boot, push).await {
            Ok(id) => {
                // The announcer lives as long as the core.
                let _ = self.news.send((app, id, Fact::Accepted(order)));
                self.launch(settings, id);
                Ok(id)
            }
            Err(StoreError::Busy) => Err(self.busy(&app).await),
            Err(error) => Err(broken(error)),
        }
    }

    async fn busy(&self, app: &App) -> Refusal {
        match self.store.history(Some(app), 1).await {
            Ok(rows) if !rows.is_empty() => {
                let row = &rows[0];
                Refusal::busy(app, row.id, &row.by, row.accepted)
            }
            Ok(_) => Refusal::new(Kind::Busy, format!("another deployment of {app} runs")),
            Err(error) => broken(error),
        }
    }

    async fn release_of(&self, app: &App, id: DeploymentId) -> Result<ReleaseId, Refusal> {
        match self.store.deployment(id).await.map_err(broken)? {
            Some((row, _)) if row.app == *app => Ok(row.release),
            _ => Err(Refusal::new(Kind::NotFound, format!("{app} has no deployment {id}")).hint("`tsh-agent history`")),
        }
    }

    async fn release_before(&self, app: &App, live: Option<ReleaseId>) -> Result<ReleaseId, Refusal> {
        let once = self.store.once_live(app).await.map_err(broken)?;
        let before = once.into_iter().find(|id| Some(*id) != live && files::has_release(app, *id));
        before.ok_or_else(|| Refusal::new(Kind::NotFound, format!("{app} has no earlier release that is kept")))
    }
}

pub(super) fn broken(error: StoreError) -> Refusal {
    Refusal::new(Kind::Internal, chain(&error)).hint("`journalctl -u tsh-agent -n 50`; is the disk full?")
}

fn unusable(app: &App, error: &ConfigError) -> Refusal {
    let known = crate::config::apps().unwrap_or_default();
    if known.contains(app) {
        return Refusal::new(Kind::Configuration, error.to_string());
    }
    let words: Vec<&str> = known.iter().map(App::as_str).collect();
    let hint =
        if words.is_empty() { "none is configured yet".to_owned() } else { format!("there is: {}", words.join(", ")) };
    Refusal::new(Kind::Usage, format!("no application {app} is configured")).hint(hint)
}
