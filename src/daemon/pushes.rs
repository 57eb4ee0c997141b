//! Pushes: remembered durably, and acted upon when their turn comes.
//!
//! A push is over in the same transaction that accepts the deployment which answers it; until then it waits. So a crash
//! at any moment leaves either a push that waits or a deployment that is open, and both are taken up again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Daemon;
use super::orders::broken;
use crate::api::{Caller, Kind, Refusal};
use crate::config::Settings;
use crate::database::AGENT;
use crate::events::Event;
use crate::host::machine::now;
use crate::host::{chain, users};
use crate::model::journal::{Cause, Goal, Order, Output};
use crate::model::names::{App, Sha, Wanted};
use crate::model::push::{self, Hint, Judgement, Push, PushState, PushView};
use crate::model::request::{Request, Work};
use crate::model::trigger::Trigger;
use crate::store::StoreError;

/// The user of the network face.
const FACE: &str = "tsh-agent-webhook";
/// What waits is looked at again after this, even if nobody says that something has changed.
const BELT: Duration = Duration::from_secs(60);

/// An application whose pushes wait.
#[derive(Default)]
pub(super) struct Attending {
    /// One is being acted upon.
    busy: bool,
    /// So many attempts have brought nothing.
    failures: u32,
    /// Before this, another one would bring nothing either.
    not_before: Option<Instant>,
    /// What they wait for.
    why: String,
}

/// Why a push still waits.
enum Held {
    /// Something else has to end first, which will be noticed.
    For(String),
    /// It did not work; later it may.
    Failed(String),
}

impl From<Refusal> for Held {
    fn from(refusal: Refusal) -> Self {
        match refusal.kind {
            Kind::Busy | Kind::NeedsOperator => Self::For(refusal.what),
            _ => Self::Failed(refusal.what),
        }
    }
}

impl From<StoreError> for Held {
    fn from(error: StoreError) -> Self {
        Self::Failed(chain(&error))
    }
}

impl From<Cause> for Held {
    fn from(cause: Cause) -> Self {
        Self::Failed(cause.what)
    }
}

impl Daemon {
    /// Remembers a push. What caused it is told by who calls, which nobody can lie about.
    pub(super) async fn note_push(&self, by: Caller, app: App, hint: Hint) -> Result<u32, Refusal> {
        let settings = self.settings(&app)?;
        let revision = hint.revision.clone();
        let trigger = trigger(&by, &settings, hint)?;
        self.remember(&app, &Push { by: trigger.by(&by.name), trigger, revision }).await
    }

    /// Notes a push durably, and has it attended to.
    pub(super) async fn remember(&self, app: &App, push: &Push) -> Result<u32, Refusal> {
        let (id, new) = self.store.remember_push(app, push, now()).await.map_err(broken)?;
        if new {
            if push.trigger != Trigger::Poll {
                let by = &push.by;
                tracing::info!(tsh_app = %app, message_id = Event::Pushed.id(), "push {id} of {app} is noted, from {by}");
                // What made earlier attempts fail may be over.
                self.attending().entry(app.clone()).or_default().not_before = None;
            }
            self.wake.notify_one();
        }
        Ok(id)
    }

    /// Those whose turn has not come, with what they wait for.
    pub(super) async fn waiting_pushes(&self, app: &App) -> Result<Vec<PushView>, StoreError> {
        let mut waiting = self.store.waiting_pushes(Some(app)).await?;
        let running = self.running().get(app).map(|running| running.id);
        let why = match (running, self.attending().get(app)) {
            (Some(id), _) => format!("deployment {id} runs"),
            (None, Some(attending)) if attending.busy => "the remote is being asked".to_owned(),
            (None, Some(attending)) => attending.why.clone(),
            (None, None) => String::new(),
        };
        waiting.iter_mut().for_each(|push| push.note.clone_from(&why));
        Ok(waiting)
    }

    fn attending(&self) -> MutexGuard<'_, HashMap<App, Attending>> {
        self.attending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has ended that pushes may have waited for.
    pub(super) fn make_room(&self, app: &App) {
        if let Some(of) = self.attending().get_mut(app).filter(|of| of.failures == 0) {
            of.not_before = None;
        }
        self.wake.notify_one();
    }

    /// Acts on what waits, for as long as the core lives.
    pub(super) async fn attend(self: Arc<Self>) {
        loop {
            let next = match self.look_at_pushes().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!("pushes cannot be read: {}", chain(&error));
                    super::AGAIN
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    /// Begins what can begin; how long nothing else will. Where nothing waits, whatever comes wakes.
    async fn look_at_pushes(self: &Arc<Self>) -> Result<Duration, StoreError> {
        let mut newest: BTreeMap<App, PushView> = BTreeMap::new();
        for push in self.store.waiting_pushes(None).await? {
            newest.insert(push.app.clone(), push);
        }
        let busy = self.store.busy().await?;
        let mut next = if newest.is_empty() { Duration::MAX } else { BELT };
        for (app, push) in newest {
            // Its end wakes, and so does its waiting: one that only waits for its gates makes way for a newer revision,
            // unless a person has typed it.
            if busy.contains(&app) {
                continue;
            }
            let mut attending = self.attending();
            let of = attending.entry(app).or_default();
            let wait = of.not_before.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()));
            if !of.busy && wait.is_zero() {
                of.busy = true;
                let daemon = Arc::clone(self);
                tokio::spawn(async move { daemon.attend_to(push).await });
            } else if !of.busy {
                next = next.min(wait);
            }
        }
        Ok(next)
    }

    async fn attend_to(self: Arc<Self>, push: PushView) {
        let outcome = self.act_on(&push).await;
        let now = Instant::now();
        let mut attending = self.attending();
        let of = attending.entry(push.app.clone()).or_default();
        *of = match outcome {
            Ok(()) => Attending::default(),
            Err(Held::For(why)) => Attending { why, not_before: Some(now + BELT), ..Attending::default() },
            Err(Held::Failed(why)) => {
                let pause = push::pause(of.failures);
                let app = &push.app;
                tracing::warn!(tsh_app = %app, "a push of {app} waits: {why}; it is tried again in {pause} s");
                let not_before = Some(now + Duration::from_secs(pause));
                Attending { why, not_before, failures: of.failures + 1, busy: false }
            }
        };
        drop(attending);
        self.changes.send_replace(());
        self.wake.notify_one();
    }

    /// Asks the remote, and deploys what it says if that is new. One answer is for all pushes so far.
    async fn act_on(self: &Arc<Self>, push: &PushView) -> Result<(), Held> {
        let app = &push.app;
        let settings = self.settings(app)?;
        self.nothing_stuck(app).await?;
        if let Some(revision) = push.revision.clone().filter(|_| push.trigger.is_pinned()) {
            return self.deploy_pushed(settings, push, revision).await;
        }
        let head = self.ask(&settings).await?;
        let live = match Self::live(app)? {
            // Only what was verified need not be deployed again.
            Some(live) if self.store.good(app).await? == Some(live) => self.store.built(live).await?,
            _ => None,
        };
        let tried = self.store.tried(app, &head).await?;
        let tried = tried.as_ref().map(|(id, state)| (*id, state.as_str()));
        if let Judgement::NothingNew(why) = push::judge(&head, live.as_ref().map(|live| &live.revision), tried) {
            if push.trigger != Trigger::Poll {
                tracing::info!(tsh_app = %app, "push {} of {app} brings nothing new: {why}", push.id);
            }
            return Ok(self.store.end_pushes(app, push.id, PushState::NothingNew, &why).await?);
        }
        self.deploy_pushed(settings, push, head).await
    }

    async fn deploy_pushed(self: &Arc<Self>, settings: Settings, push: &PushView, revision: Sha) -> Result<(), Held> {
        let words = format!("{} at {}", settings.source.branch, revision.short());
        let wanted: Wanted = revision.as_str().parse().map_err(Refusal::from)?;
        let order = self.order(&settings, Goal::Revision(Some(wanted)), push.by.clone(), false).await?;
        let order = Order { revision: Some(revision), trigger: push.trigger.clone(), ..order };
        self.accept(settings, "deploy", &words, order, Some(push.id)).await?;
        Ok(())
    }

    /// Where the remote's branch points to. Asking has no effect, so nothing of it has to be remembered.
    async fn ask(&self, settings: &Settings) -> Result<Sha, Cause> {
        match self.run_alone(settings, &Request::alone(Work::Ask)).await? {
            Output::Asked { revision } => Ok(revision),
            _ => Err(Cause::new("the step that asks the remote answered something else")),
        }
    }
}

/// What caused a push, by who says it.
fn trigger(by: &Caller, settings: &Settings, hint: Hint) -> Result<Trigger, Refusal> {
    let app = &settings.app;
    match by.name.as_str() {
        FACE => match (settings.push.webhook, hint.forge) {
            (Some(wanted), Some(forge)) if wanted == forge => {
                Ok(Trigger::Webhook { forge, delivery: hint.delivery, sender: hint.sender })
            }
            _ => Err(Refusal::new(Kind::NotPossible, format!("{app} takes no webhooks of this kind"))),
        },
        // The timer speaks as the agent's own user.
        AGENT => Ok(Trigger::Poll),
        user if settings.push.users.iter().any(|known| known == user) || users::may_operate(by.uid) => {
            Ok(Trigger::PostReceive { user: user.to_owned() })
        }
        user => {
            let what = format!("{user} may not say that something was pushed to {app}");
            let file = crate::paths::settings(app);
            Err(Refusal::new(Kind::NotPossible, what).hint(format!("push.users in {} names who may", file.display())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::trigger::Forge;

    #[test]
    fn what_caused_a_push_is_told_by_who_says_it() {
        let mut settings = crate::config::testing::settings();
        settings.push.webhook = Some(Forge::Gitea);
        settings.push.users = vec!["git".to_owned()];
        let told = |name: &str, forge| {
            let by = Caller { uid: 4_000_000_000, name: name.to_owned(), login: None, from: None };
            trigger(&by, &settings, Hint { forge, ..Hint::default() }).map_err(|refusal| refusal.what)
        };
        let hook = Trigger::Webhook { forge: Forge::Gitea, delivery: None, sender: None };
        assert_eq!(told("tsh-agent-webhook", Some(Forge::Gitea)), Ok(hook));
        assert!(told("tsh-agent-webhook", Some(Forge::Github)).is_err());
        assert!(told("tsh-agent-webhook", None).is_err());
        assert_eq!(told("tsh-agent", Some(Forge::Gitea)), Ok(Trigger::Poll));
        assert_eq!(told("git", Some(Forge::Gitea)), Ok(Trigger::PostReceive { user: "git".to_owned() }));
        assert_eq!(told("mallory", None), Err("mallory may not say that something was pushed to erp".to_owned()));
    }
}
