//! What the interface asks of the core.

use std::sync::Arc;
use std::time::Duration;

use super::Daemon;
use super::orders::broken;
use crate::api::{Caller, Core, Kind, Refusal};
use crate::host::{backups, step_output};
use crate::model::audit::Entry;
use crate::model::backup::{BackupRow, BackupView, Doomed};
use crate::model::care::{self, CareView};
use crate::model::finding::Finding;
use crate::model::gates::{HoldKind, Override};
use crate::model::going_back::RollbackView;
use crate::model::key::{Allow, Answer, Asked, KeyView};
use crate::model::metrics::MetricsView;
use crate::model::names::{App, BackupName, DeploymentId, KeyName, ReleaseId, Sha, Wanted};
use crate::model::plan::{DiffView, PlanView};
use crate::model::push::Hint;
use crate::model::quarantine::QuarantineView;
use crate::model::restore::RestoreView;
use crate::model::step::Step;
use crate::model::view::{DeploymentView, GatesView, HistoryRow, StatusView};

/// The core, as the interface sees it.
pub struct Service(pub Arc<Daemon>);

impl Core for Service {
    async fn deploy(
        &self,
        by: Caller,
        app: App,
        wanted: Option<Wanted>,
        force: bool,
        overrides: Vec<Override>,
    ) -> Result<DeploymentId, Refusal> {
        self.0.order_deploy(by, app, wanted, force, overrides).await
    }

    async fn hold(
        &self,
        by: Caller,
        app: App,
        kind: HoldKind,
        until: Option<i64>,
        reason: String,
    ) -> Result<(), Refusal> {
        self.0.hold(by, app, kind, until, reason).await
    }

    async fn lift(&self, by: Caller, app: App, kind: HoldKind) -> Result<(), Refusal> {
        self.0.lift(by, app, kind).await
    }

    async fn forgive(&self, by: Caller, app: App, revision: String) -> Result<Sha, Refusal> {
        self.0.forgive(by, app, revision).await
    }

    async fn decide(&self, by: Caller, id: DeploymentId, approved: bool, reason: String) -> Result<String, Refusal> {
        self.0.decide(by, id, approved, reason).await
    }

    async fn audit(&self, app: Option<App>, limit: u32) -> Result<Vec<Entry>, Refusal> {
        self.0.store.audit(app.as_ref(), limit).await.map_err(broken)
    }

    async fn gates(&self, app: App) -> Result<GatesView, Refusal> {
        self.0.gates_of(app).await
    }

    async fn plan(&self, app: App, wanted: Option<Wanted>) -> Result<PlanView, Refusal> {
        self.0.plan(app, wanted).await
    }

    async fn diff(&self, app: App, from: Wanted, to: Wanted) -> Result<DiffView, Refusal> {
        self.0.diff(app, from, to).await
    }

    async fn pin(&self, by: Caller, app: App, release: ReleaseId, reason: String) -> Result<(), Refusal> {
        self.0.pin(by, app, release, reason).await
    }

    async fn unpin(&self, by: Caller, app: App, release: ReleaseId) -> Result<(), Refusal> {
        self.0.unpin(by, app, release).await
    }

    async fn rollback(&self, by: Caller, app: App, to: Option<DeploymentId>) -> Result<DeploymentId, Refusal> {
        self.0.order_rollback(by, app, to).await
    }

    async fn rollback_plan(&self, app: App, to: Option<DeploymentId>) -> Result<RollbackView, Refusal> {
        self.0.rollback_plan(app, to).await
    }

    async fn abort(&self, by: Caller, id: DeploymentId) -> Result<(), Refusal> {
        self.0.order_abort(by, id).await
    }

    async fn adopt(&self, by: Caller, app: App, revision: Sha, subject: String) -> Result<ReleaseId, Refusal> {
        self.0.adopt(by, app, revision, subject).await
    }

    async fn show(&self, id: DeploymentId) -> Result<DeploymentView, Refusal> {
        self.0.view(id).await
    }

    async fn history(&self, app: Option<App>, limit: u32) -> Result<Vec<HistoryRow>, Refusal> {
        self.0.store.history(app.as_ref(), limit).await.map_err(broken)
    }

    async fn push(&self, by: Caller, app: App, hint: Hint) -> Result<u32, Refusal> {
        self.0.note_push(by, app, hint).await
    }

    async fn request(&self, key: String, app: App, revision: Sha) -> Result<Answer, Refusal> {
        self.0.request(&key, app, revision).await
    }

    async fn answer(&self, key: String, what: Asked, wait: Duration) -> Result<Answer, Refusal> {
        self.0.answer(&key, what, wait).await
    }

    async fn add_key(&self, by: Caller, name: KeyName, app: App, allow: Vec<Allow>) -> Result<String, Refusal> {
        self.0.add_key(by, name, app, allow).await
    }

    async fn keys(&self) -> Result<Vec<KeyView>, Refusal> {
        self.0.list_keys().await
    }

    async fn remove_key(&self, by: Caller, name: KeyName) -> Result<(), Refusal> {
        self.0.remove_key(by, name).await
    }

    async fn status(&self, app: App) -> Result<StatusView, Refusal> {
        self.0.status_of(app).await
    }

    async fn metrics(&self) -> Result<MetricsView, Refusal> {
        self.0.metrics().await
    }

    async fn check(&self, app: App) -> Result<Vec<Finding>, Refusal> {
        self.0.check(app).await
    }

    async fn apps(&self) -> Vec<App> {
        crate::config::apps().unwrap_or_else(|error| {
            tracing::warn!("{error}");
            Vec::new()
        })
    }

    async fn output(&self, id: DeploymentId, step: Step, offset: u64) -> Result<(Vec<u8>, u64), Refusal> {
        let Some(kind) = step.unit_kind() else { return Ok((Vec::new(), offset)) };
        let Some((row, _)) = self.0.store.deployment(id).await.map_err(broken)? else {
            return Err(Refusal::no_deployment(id));
        };
        // A later deployment has written over it.
        let last = self.0.store.history(Some(&row.app), 1).await.map_err(broken)?;
        if last.first().is_none_or(|last| last.id != id) {
            return Ok((Vec::new(), offset));
        }
        let journal = self.0.store.journal(id).await.map_err(broken)?;
        let Some(began) = journal.began(step) else { return Ok((Vec::new(), offset)) };
        let piece = step_output::piece(&row.app, kind, began, offset);
        piece.map_err(|error| Refusal::new(Kind::Internal, format!("the output cannot be read: {error}")))
    }

    async fn care(&self, by: Caller, app: App, kind: care::Kind, backup: Option<BackupName>) -> Result<u32, Refusal> {
        self.0.order_care(by, app, kind, backup).await
    }

    async fn care_of(&self, id: u32) -> Result<CareView, Refusal> {
        self.0.care_of(id).await
    }

    async fn backups(&self, app: App) -> Result<Vec<BackupRow>, Refusal> {
        self.0.settings(&app)?;
        let all = backups::all(&app).map_err(super::care::unreadable)?;
        Ok(all.into_iter().map(|view| view.row).collect())
    }

    async fn backup(&self, app: App, name: BackupName) -> Result<BackupView, Refusal> {
        self.0.settings(&app)?;
        let found = backups::one(&app, &name).map_err(super::care::unreadable)?;
        found.ok_or_else(|| super::care::no_backup(&app, &name))
    }

    async fn quarantines(&self, app: App) -> Result<Vec<QuarantineView>, Refusal> {
        self.0.quarantines(&self.0.settings(&app)?).await
    }

    async fn restore_plan(
        &self,
        app: App,
        name: BackupName,
        release: Option<ReleaseId>,
    ) -> Result<RestoreView, Refusal> {
        self.0.restore_plan(app, name, release).await
    }

    async fn restore(
        &self,
        by: Caller,
        app: App,
        name: BackupName,
        typed: &str,
        release: Option<ReleaseId>,
    ) -> Result<DeploymentId, Refusal> {
        self.0.order_restore(by, app, name, typed, release).await
    }

    async fn doomed(&self, app: App) -> Result<Vec<Doomed>, Refusal> {
        self.0.doomed(&self.0.settings(&app)?).await
    }
}
