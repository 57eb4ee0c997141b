//! The interface of the agent on the system bus: thin. The core serves it, the command line uses it.
//!
//! Views cross as JSON, so that a field can be added without a new method. The signal carries words of
//! state and no text: everybody on the machine can read a broadcast. Who may call at all is decided by
//! the bus policy (`units/dbus-1`), not here.

pub mod client;
mod client_gates;
mod client_plan;
mod face;
mod gates;
mod login;
mod plain;
mod refusal;
mod server;

use std::future::Future;
use std::time::Duration;

use crate::model::audit::{Entry, Who};
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

pub use plain::plain;
pub use refusal::{Kind, Refusal};
pub use server::{changed, serve};

/// The name on the bus.
pub const NAME: &str = "sale.tsh.Agent1";
/// The path of the one object.
pub const PATH: &str = "/sale/tsh/Agent1";
/// The interface.
pub const INTERFACE: &str = "sale.tsh.Agent1";

/// Who asks, as the bus knows it; a process cannot lie about this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub uid: u32,
    /// Its name, or "uid 1234" where it has none.
    pub name: String,
    /// Who logged in, if that is known: the user behind `sudo`.
    pub login: Option<String>,
    /// From where.
    pub from: Option<String>,
}

impl Caller {
    /// What the audit keeps of it.
    #[must_use]
    pub fn who(&self) -> Who {
        Who { uid: Some(self.uid), login: self.login.clone(), from: self.from.clone() }
    }
}

/// What the interface needs of the core. Each method answers soon; a deployment goes on by itself.
pub trait Core: Send + Sync + 'static {
    /// Accepts a deployment of `wanted`, or of the configured branch; `overrides` are gates that are passed.
    fn deploy(
        &self,
        by: Caller,
        app: App,
        wanted: Option<Wanted>,
        force: bool,
        overrides: Vec<Override>,
    ) -> impl Future<Output = Result<DeploymentId, Refusal>> + Send;

    /// Accepts going back to the release of deployment `to`, or to the one before the live one.
    fn rollback(
        &self,
        by: Caller,
        app: App,
        to: Option<DeploymentId>,
    ) -> impl Future<Output = Result<DeploymentId, Refusal>> + Send;

    /// What that would do. Answered from what is recorded.
    fn rollback_plan(
        &self,
        app: App,
        to: Option<DeploymentId>,
    ) -> impl Future<Output = Result<RollbackView, Refusal>> + Send;

    /// Puts something in the way of deployments, until a moment in milliseconds since 1970 (UTC) or until it is lifted.
    fn hold(
        &self,
        by: Caller,
        app: App,
        kind: HoldKind,
        until: Option<i64>,
        reason: String,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Takes it away.
    fn lift(&self, by: Caller, app: App, kind: HoldKind) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Lets triggers try a revision again that failed here; the beginning of its name is enough.
    fn forgive(&self, by: Caller, app: App, revision: String) -> impl Future<Output = Result<Sha, Refusal>> + Send;

    /// Approves or rejects a deployment that waits for it; the name of what was approved.
    fn decide(
        &self,
        by: Caller,
        id: DeploymentId,
        approved: bool,
        reason: String,
    ) -> impl Future<Output = Result<String, Refusal>> + Send;

    /// The last entries of the audit, oldest first; of all applications if none is named.
    fn audit(&self, app: Option<App>, limit: u32) -> impl Future<Output = Result<Vec<Entry>, Refusal>> + Send;

    /// What every gate answers now.
    fn gates(&self, app: App) -> impl Future<Output = Result<GatesView, Refusal>> + Send;

    /// What a deployment of `wanted`, or of the configured branch, would do. The repository is asked, which may take as
    /// long as a fetch.
    fn plan(&self, app: App, wanted: Option<Wanted>) -> impl Future<Output = Result<PlanView, Refusal>> + Send;

    /// How `to` differs from `from`: numbers of deployments or releases, or revisions. The repository is asked.
    fn diff(&self, app: App, from: Wanted, to: Wanted) -> impl Future<Output = Result<DiffView, Refusal>> + Send;

    /// Keeps a release until somebody takes the pin away.
    fn pin(
        &self,
        by: Caller,
        app: App,
        release: ReleaseId,
        reason: String,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Takes the pin away.
    fn unpin(&self, by: Caller, app: App, release: ReleaseId) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Asks a running deployment to stop and undo.
    fn abort(&self, by: Caller, id: DeploymentId) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Takes up what ran before there was an agent as the good release; its number. Root's alone.
    fn adopt(
        &self,
        by: Caller,
        app: App,
        revision: Sha,
        subject: String,
    ) -> impl Future<Output = Result<ReleaseId, Refusal>> + Send;

    /// Everything about one deployment.
    fn show(&self, id: DeploymentId) -> impl Future<Output = Result<DeploymentView, Refusal>> + Send;

    /// The last deployments, newest first; of all applications if none is named.
    fn history(&self, app: Option<App>, limit: u32) -> impl Future<Output = Result<Vec<HistoryRow>, Refusal>> + Send;

    /// Remembers that something may have been pushed, durably; its number.
    fn push(&self, by: Caller, app: App, hint: Hint) -> impl Future<Output = Result<u32, Refusal>> + Send;

    /// A program asks for a commit.
    fn request(&self, key: String, app: App, revision: Sha) -> impl Future<Output = Result<Answer, Refusal>> + Send;

    /// How that is, or a deployment; at once if it has ended, else when that changes or at the latest after `wait`.
    fn answer(&self, key: String, what: Asked, wait: Duration) -> impl Future<Output = Result<Answer, Refusal>> + Send;

    /// Makes a key for a program; the key, which nobody is told again.
    fn add_key(
        &self,
        by: Caller,
        name: KeyName,
        app: App,
        allow: Vec<Allow>,
    ) -> impl Future<Output = Result<String, Refusal>> + Send;

    /// All keys.
    fn keys(&self) -> impl Future<Output = Result<Vec<KeyView>, Refusal>> + Send;

    /// Removes a key.
    fn remove_key(&self, by: Caller, name: KeyName) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// One application now.
    fn status(&self, app: App) -> impl Future<Output = Result<StatusView, Refusal>> + Send;

    /// What is told to a monitoring system.
    fn metrics(&self) -> impl Future<Output = Result<MetricsView, Refusal>> + Send;

    /// What only the core's user can see of one application's health.
    fn check(&self, app: App) -> impl Future<Output = Result<Vec<Finding>, Refusal>> + Send;

    /// The configured applications.
    fn apps(&self) -> impl Future<Output = Vec<App>> + Send;

    /// Output of a step from `offset` on, at most some 64 KiB, and the offset after it. A client that has
    /// everything gets nothing and the same offset.
    fn output(
        &self,
        id: DeploymentId,
        step: Step,
        offset: u64,
    ) -> impl Future<Output = Result<(Vec<u8>, u64), Refusal>> + Send;

    /// Accepts something to do about backups; its number.
    fn care(
        &self,
        by: Caller,
        app: App,
        kind: care::Kind,
        backup: Option<BackupName>,
    ) -> impl Future<Output = Result<u32, Refusal>> + Send;

    /// How far that is.
    fn care_of(&self, id: u32) -> impl Future<Output = Result<CareView, Refusal>> + Send;

    /// The backups of an application, newest first.
    fn backups(&self, app: App) -> impl Future<Output = Result<Vec<BackupRow>, Refusal>> + Send;

    /// The databases of an application that were set aside, oldest first.
    fn quarantines(&self, app: App) -> impl Future<Output = Result<Vec<QuarantineView>, Refusal>> + Send;

    /// Everything about one backup.
    fn backup(&self, app: App, name: BackupName) -> impl Future<Output = Result<BackupView, Refusal>> + Send;

    /// What a restore of a backup would do, with this release or the live one.
    fn restore_plan(
        &self,
        app: App,
        name: BackupName,
        release: Option<ReleaseId>,
    ) -> impl Future<Output = Result<RestoreView, Refusal>> + Send;

    /// Accepts a restore; `typed` is the database's name as a person typed it, and must be right.
    fn restore(
        &self,
        by: Caller,
        app: App,
        name: BackupName,
        typed: &str,
        release: Option<ReleaseId>,
    ) -> impl Future<Output = Result<DeploymentId, Refusal>> + Send;

    /// The backups that are no longer kept.
    fn doomed(&self, app: App) -> impl Future<Output = Result<Vec<Doomed>, Refusal>> + Send;
}
