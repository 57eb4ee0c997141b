//! What people do about gates, and what the gates would answer now.

use std::time::Duration;

use tokio::sync::oneshot;

use super::Daemon;
use super::orders::broken;
use crate::api::{Caller, Kind, Refusal};
use crate::config::Settings;
use crate::host::machine::now;
use crate::host::rest::Wake;
use crate::model::audit::Record;
use crate::model::gates::approval::{self, Asked};
use crate::model::gates::{self, Answer, Decision, Facts, Gate, Hold, HoldKind, Reply};
use crate::model::names::{App, DeploymentId, Sha};
use crate::model::view::GatesView;

/// How long a deployment that waits may take to end; it only has to write that down.
const END: Duration = Duration::from_secs(10);

impl Daemon {
    /// Puts something in the way: of deployments, or of people.
    pub(super) async fn hold(
        &self,
        by: Caller,
        app: App,
        kind: HoldKind,
        until: Option<i64>,
        reason: String,
    ) -> Result<(), Refusal> {
        if kind == HoldKind::Maintenance {
            return self.begin_maintenance(by, app, until, reason).await;
        }
        self.settings(&app)?;
        if reason.trim().is_empty() {
            return Err(Refusal::new(Kind::Usage, format!("a {} needs a reason, for those who find it", kind.word())));
        }
        if until.is_some_and(|until| until <= now()) {
            return Err(Refusal::new(Kind::Usage, format!("that {} would be over already", kind.word())));
        }
        let words = until.map_or_else(String::new, |until| format!(" (until {})", utc(until)));
        let record = record(&app, &by, kind.word(), format!("{reason}{words}"));
        let held = Hold { kind, until, reason, by: by.name, at: now() };
        self.store.hold(&app, &held, &record).await.map_err(broken)?;
        tracing::info!(tsh_app = %app, "{} of {app} by {}: {}", kind.word(), held.by, held.reason);
        self.anchors.write().await;
        self.look_again(&app);
        Ok(())
    }

    /// Takes it away.
    pub(super) async fn lift(&self, by: Caller, app: App, kind: HoldKind) -> Result<(), Refusal> {
        self.settings(&app)?;
        let (verb, what) = match kind {
            HoldKind::Lock => ("unlock", format!("{app} is not locked")),
            HoldKind::Freeze => ("unfreeze", format!("{app} is not frozen")),
            HoldKind::Pause => ("resume", format!("automatic deployments of {app} are not paused")),
            HoldKind::Maintenance => return self.end_maintenance(by, app).await,
        };
        if !self.store.lift(&app, kind, &record(&app, &by, verb, String::new())).await.map_err(broken)? {
            return Err(Refusal::new(Kind::NotPossible, what).hint("`tsh-agent where` shows every gate"));
        }
        tracing::info!(tsh_app = %app, "{} of {app} lifted by {}", kind.word(), by.name);
        self.anchors.write().await;
        self.look_again(&app);
        Ok(())
    }

    /// Lets triggers try a revision again.
    pub(super) async fn forgive(&self, by: Caller, app: App, revision: String) -> Result<Sha, Refusal> {
        self.settings(&app)?;
        let standing = self.store.standing(&app, None).await.map_err(broken)?;
        let found: Vec<&Sha> = standing
            .quarantined
            .iter()
            .map(|failed| &failed.revision)
            .filter(|failed| revision.len() >= 7 && failed.as_str().starts_with(&revision))
            .collect();
        let revision = match found.as_slice() {
            [one] => (*one).clone(),
            [] => {
                let known: Vec<&str> = standing.quarantined.iter().map(|failed| failed.revision.short()).collect();
                let refusal = Refusal::new(Kind::NotFound, format!("no revision {revision} of {app} is quarantined"));
                return Err(match known.is_empty() {
                    true => refusal.hint("none is"),
                    false => refusal.hint(format!("quarantined are {}", known.join(", "))),
                });
            }
            _ => {
                let what = format!("{revision} is the beginning of more than one quarantined revision");
                return Err(Refusal::new(Kind::Usage, what).hint("give more digits"));
            }
        };
        let record = record(&app, &by, "forgive", revision.to_string());
        self.store.forgive(&app, &revision, &record).await.map_err(broken)?;
        tracing::info!(tsh_app = %app, "{revision} of {app} may be tried again, says {}", by.name);
        self.anchors.write().await;
        self.look_again(&app);
        Ok(revision)
    }

    /// What every gate answers now: to the deployment that is open, or to a person who would deploy.
    pub(super) async fn gates_of(&self, app: App) -> Result<GatesView, Refusal> {
        let settings = self.settings(&app)?;
        let last = self.store.history(Some(&app), 1).await.map_err(broken)?;
        let open = last.into_iter().find(|row| row.ended.is_none());
        let standing = self.store.standing(&app, open.as_ref().map(|row| row.id)).await.map_err(broken)?;
        let journal = match &open {
            Some(row) => self.store.journal(row.id).await.map_err(broken)?,
            None => crate::model::journal::Journal::default(),
        };
        let order = journal.order();
        let configuration = settings.digest();
        let fetched = journal.fetched();
        let facts = Facts {
            now: now(),
            rules: &settings.gates,
            standing: &standing,
            overrides: order.map(|order| order.overrides.as_slice()).unwrap_or_default(),
            automatic: order.is_some_and(|order| order.trigger.is_automatic()),
            revision: fetched.map(|fetched| &fetched.revision),
            running: order.and_then(|order| order.from_revision.as_ref()),
            descends: fetched.and_then(|fetched| fetched.descends),
            outside: None,
            asked: open.as_ref().zip(order).map(|(row, order)| Asked {
                deployment: row.id,
                by: &order.by,
                trigger: order.trigger.word(),
                pending: journal.inspected().map(|inspected| inspected.pending.as_slice()),
                configuration: &configuration,
                configuration_now: &configuration,
                decision: standing.decision.as_ref(),
            }),
            before: journal.judged(),
        };
        let mut judgement = gates::judge(&facts);
        judgement.keep_open_ones_from(journal.judged());
        Ok(GatesView {
            deployment: open.map(|row| row.id),
            revision: fetched.map(|fetched| fetched.revision.clone()),
            at: facts.now,
            answers: judgement.answers,
            app,
        })
    }

    /// What every gate would answer a person who orders this revision now.
    pub(super) async fn gates_for(
        &self,
        settings: &Settings,
        revision: &Sha,
        running: Option<&Sha>,
        descends: Option<bool>,
    ) -> Result<Vec<Answer>, Refusal> {
        let standing = self.store.standing(&settings.app, None).await.map_err(broken)?;
        let facts = Facts {
            now: now(),
            rules: &settings.gates,
            standing: &standing,
            overrides: &[],
            automatic: false,
            revision: Some(revision),
            running,
            descends,
            outside: None,
            asked: None,
            before: None,
        };
        Ok(gates::judge(&facts).answers)
    }

    /// What somebody says about a deployment that waits for approval: yes or no to exactly what it is now.
    pub(super) async fn decide(
        &self,
        by: Caller,
        id: DeploymentId,
        approved: bool,
        reason: String,
    ) -> Result<String, Refusal> {
        let Some((row, _)) = self.store.deployment(id).await.map_err(broken)? else {
            return Err(Refusal::no_deployment(id));
        };
        let app = row.app;
        let settings = self.settings(&app)?;
        let journal = self.store.journal(id).await.map_err(broken)?;
        let waits = journal.judged().and_then(|judged| judged.of(Gate::Approval)).map(|answer| answer.reply);
        let (Some(Reply::Wait { .. }), Some(revision), Some(inspected), None) =
            (waits, journal.fetched().map(|fetched| &fetched.revision), journal.inspected(), row.ended)
        else {
            let refusal = Refusal::new(Kind::NotPossible, format!("deployment {id} does not wait for approval"));
            return Err(refusal.hint(format!("`tsh-agent show {id}` shows how it is")));
        };
        let asked_by = journal.order().map(|order| order.by.as_str()).unwrap_or_default();
        let another = settings.gates.approval.as_ref().is_some_and(|rule| rule.by_another);
        if approved && another && asked_by == by.name {
            let what = format!("{} asked for deployment {id}, so another one has to approve it", by.name);
            return Err(
                Refusal::new(Kind::NotPossible, what).hint("`gates.approval.by_another` in the settings says so")
            );
        }
        let content = approval::content(revision, &inspected.pending, &settings.digest());
        let verb = if approved { "approve" } else { "reject" };
        let mut record = record(&app, &by, verb, format!("{revision} as {content}: {reason}"));
        record.deployment = Some(id);
        let said = Decision { content: content.clone(), approved, by: by.name, reason, at: now() };
        self.store.decide(id, &said, &record).await.map_err(broken)?;
        tracing::info!(tsh_app = %app, tsh_deployment = id.0, "deployment {id} of {app}: {verb} by {}", said.by);
        self.anchors.write().await;
        self.look_again(&app);
        Ok(content)
    }

    /// A deployment that waits asks its gates again.
    fn look_again(&self, app: &App) {
        if let Some(running) = self.running().get(app) {
            // One that has just ended hears nothing, and need not.
            let _ = running.wake.send(Wake::Look);
        }
    }

    /// Ends a deployment that waits for its gates, to make room for a newer order; the gate is held.
    pub(super) async fn supersede(&self, app: &App, by: &str) -> Result<(), Refusal> {
        let last = self.store.history(Some(app), 1).await.map_err(broken)?;
        let Some(waiting) = last.first().filter(|row| row.state == "waiting").map(|row| row.id) else { return Ok(()) };
        if let Some(ended) = self.ask_to_end(app, waiting, by) {
            // Either it has ended, or it did not wait any more: accepting the order tells which.
            let _ = tokio::time::timeout(END, ended).await;
        }
        Ok(())
    }

    fn ask_to_end(&self, app: &App, id: DeploymentId, by: &str) -> Option<oneshot::Receiver<()>> {
        let (asker, ended) = oneshot::channel();
        let running = self.running();
        let running = running.get(app).filter(|running| running.id == id)?;
        running.wake.send(Wake::Supersede(by.to_owned(), asker)).ok()?;
        Some(ended)
    }
}

pub(super) fn record(app: &App, by: &Caller, what: &str, detail: String) -> Record {
    Record {
        at: now(),
        app: app.clone(),
        deployment: None,
        by: by.name.clone(),
        who: by.who(),
        what: what.to_owned(),
        detail,
    }
}

fn utc(ms: i64) -> String {
    crate::when::minute(ms, &jiff::tz::TimeZone::UTC) + " UTC"
}
