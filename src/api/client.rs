//! The calling side: what the command line uses.

mod error;
mod key;
mod metrics;
mod push;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use zbus::connection::Builder;
use zbus::proxy::{CacheProperties, OwnerChangedStream};
use zbus::{Connection, Variant, fdo};

pub use error::Error;

use super::{NAME, gates, plain};
use crate::model::backup::{BackupRow, BackupView, Doomed};
use crate::model::care::CareView;
use crate::model::finding::Finding;
use crate::model::gates::Override;
use crate::model::names::{App, BackupName, DeploymentId, ReleaseId, Sha, Wanted};
use crate::model::quarantine::QuarantineView;
use crate::model::restore::RestoreView;
use crate::model::step::Step;
use crate::model::view::{DeploymentView, HistoryRow, StatusView};

/// No method takes long: a deployment goes on by itself. A silent core is a lost one.
const ANSWER: Duration = Duration::from_secs(30);
/// How often a lost core is looked for.
const LOOK: Duration = Duration::from_millis(250);

#[zbus::proxy(interface = "sale.tsh.Agent1", default_service = "sale.tsh.Agent1", default_path = "/sale/tsh/Agent1")]
pub(super) trait Agent {
    async fn deploy(&self, app: &str, wanted: &str, options: HashMap<&str, Variant<'_>>) -> zbus::Result<u32>;
    async fn rollback(&self, app: &str, to: u32, options: HashMap<&str, Variant<'_>>) -> zbus::Result<u32>;
    async fn rollback_plan(&self, app: &str, to: u32) -> zbus::Result<String>;
    async fn abort(&self, id: u32) -> zbus::Result<()>;
    async fn adopt(&self, app: &str, revision: &str, subject: &str) -> zbus::Result<u32>;
    async fn hold(&self, app: &str, kind: &str, until: i64, reason: &str) -> zbus::Result<()>;
    async fn lift(&self, app: &str, kind: &str) -> zbus::Result<()>;
    async fn forgive(&self, app: &str, revision: &str) -> zbus::Result<String>;
    async fn decide(&self, id: u32, approved: bool, reason: &str) -> zbus::Result<String>;
    async fn audit(&self, app: &str, limit: u32) -> zbus::Result<String>;
    async fn gates(&self, app: &str) -> zbus::Result<String>;
    async fn plan(&self, app: &str, wanted: &str) -> zbus::Result<String>;
    async fn diff(&self, app: &str, from: &str, to: &str) -> zbus::Result<String>;
    async fn pin(&self, app: &str, release: u32, reason: &str) -> zbus::Result<()>;
    async fn unpin(&self, app: &str, release: u32) -> zbus::Result<()>;
    async fn show(&self, id: u32) -> zbus::Result<String>;
    async fn history(&self, app: &str, limit: u32) -> zbus::Result<String>;
    async fn status(&self, app: &str) -> zbus::Result<String>;
    async fn metrics(&self) -> zbus::Result<String>;
    async fn check(&self, app: &str) -> zbus::Result<String>;
    async fn apps(&self) -> zbus::Result<Vec<String>>;
    async fn output(&self, id: u32, step: &str, offset: u64) -> zbus::Result<(Vec<u8>, u64)>;
    async fn back_up(&self, app: &str, options: HashMap<&str, Variant<'_>>) -> zbus::Result<u32>;
    async fn verify_backup(&self, app: &str, name: &str) -> zbus::Result<u32>;
    async fn push_backups(&self, app: &str) -> zbus::Result<u32>;
    async fn prune_backups(&self, app: &str) -> zbus::Result<u32>;
    async fn quarantines(&self, app: &str) -> zbus::Result<String>;
    async fn restore_plan(&self, app: &str, name: &str, release: u32) -> zbus::Result<String>;
    async fn restore_backup(&self, app: &str, name: &str, database: &str, release: u32) -> zbus::Result<u32>;
    async fn doomed_backups(&self, app: &str) -> zbus::Result<String>;
    async fn backups(&self, app: &str) -> zbus::Result<String>;
    async fn backup(&self, app: &str, name: &str) -> zbus::Result<String>;
    async fn backup_run(&self, id: u32) -> zbus::Result<String>;
    #[zbus(signal)]
    fn changed(&self, app: &str, id: u32, state: &str) -> zbus::Result<()>;
}

/// A connection to the agent.
pub struct Client {
    connection: Connection,
    pub(super) agent: AgentProxy<'static>,
    pub(super) address: Option<String>,
}

impl Client {
    /// Connects to the bus at `address`, or to the system bus.
    ///
    /// # Errors
    /// If there is no bus. Whether the agent is there shows with the first call.
    pub async fn connect(address: Option<String>) -> Result<Self, Error> {
        Self::within(address, ANSWER).await
    }

    /// The same for somebody who waits longer for an answer.
    pub(super) async fn within(address: Option<String>, answer: Duration) -> Result<Self, Error> {
        let builder = match &address {
            Some(address) => Builder::address(address.as_str()),
            None => Builder::system(),
        };
        let no_bus = |error: zbus::Error| Error::NoBus(error.to_string());
        let connection = builder.method_timeout(answer).build().await.map_err(no_bus)?;
        let agent = AgentProxy::builder(&connection).cache_properties(CacheProperties::No).build().await?;
        Ok(Self { connection, agent, address })
    }

    /// Starts listening. Subscribe first, then ask: nothing falls between.
    ///
    /// # Errors
    /// If the bus is gone.
    pub async fn subscribe(&self) -> Result<Watch, Error> {
        Ok(Watch {
            changed: self.agent.receive_changed().await?,
            owner: self.agent.inner().receive_owner_changed().await?,
        })
    }

    /// Waits until the agent is back on the bus, and connects again: the core may be restarted, or upgraded,
    /// in the middle of a deployment, and the deployment goes on without it.
    ///
    /// # Errors
    /// If it has not come back within `limit`.
    pub async fn come_back(&mut self, limit: Duration) -> Result<Watch, Error> {
        let look = async {
            loop {
                if let Ok(watch) = self.again().await {
                    return watch;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(limit, look).await.map_err(|_| Error::Lost)
    }

    async fn again(&mut self) -> Result<Watch, Error> {
        let fresh = Self::connect(self.address.clone()).await?;
        // Looking is not asking: a core that was stopped on purpose must not be started by the bus.
        let bus = fdo::DBusProxy::new(&fresh.connection).await?;
        if !bus.name_has_owner(zbus::names::BusName::from_static_str(NAME)?).await? {
            return Err(Error::NotRunning);
        }
        let watch = fresh.subscribe().await?;
        *self = fresh;
        Ok(watch)
    }

    /// Asks for a deployment; `overrides` are gates that are passed whatever they answer.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn deploy(
        &self,
        app: &App,
        wanted: Option<&Wanted>,
        force: bool,
        overrides: &[Override],
    ) -> Result<DeploymentId, Error> {
        let mut options = if force { HashMap::from([("force", Variant::Bool(true))]) } else { HashMap::new() };
        if !overrides.is_empty() {
            options.insert(gates::OVERRIDES, gates::dictionary(overrides));
        }
        Ok(DeploymentId(self.agent.deploy(app.as_str(), wanted.map_or("", Wanted::as_str), options).await?))
    }

    /// Asks to go back.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn rollback(&self, app: &App, to: Option<DeploymentId>) -> Result<DeploymentId, Error> {
        Ok(DeploymentId(self.agent.rollback(app.as_str(), to.map_or(0, |to| to.0), HashMap::new()).await?))
    }

    /// Asks a running deployment to stop and undo.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn abort(&self, id: DeploymentId) -> Result<(), Error> {
        Ok(self.agent.abort(id.0).await?)
    }

    /// Takes up what ran before there was an agent; the number of its release.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn adopt(&self, app: &App, revision: &Sha, subject: &str) -> Result<ReleaseId, Error> {
        Ok(ReleaseId(self.agent.adopt(app.as_str(), revision.as_str(), subject).await?))
    }

    /// Everything about one deployment.
    ///
    /// # Errors
    /// If there is none, or the agent cannot be asked.
    pub async fn show(&self, id: DeploymentId) -> Result<DeploymentView, Error> {
        view(&self.agent.show(id.0).await?)
    }

    /// The last deployments, newest first.
    ///
    /// # Errors
    /// If the agent cannot be asked.
    pub async fn history(&self, app: Option<&App>, limit: u32) -> Result<Vec<HistoryRow>, Error> {
        view(&self.agent.history(app.map_or("", App::as_str), limit).await?)
    }

    /// One application now.
    ///
    /// # Errors
    /// If there is none, or the agent cannot be asked.
    pub async fn status(&self, app: &App) -> Result<StatusView, Error> {
        view(&self.agent.status(app.as_str()).await?)
    }

    /// What only the core's user can see of one application's health.
    ///
    /// # Errors
    /// If there is none, or the agent cannot be asked.
    pub async fn check(&self, app: &App) -> Result<Vec<Finding>, Error> {
        view(&self.agent.check(app.as_str()).await?)
    }

    /// The configured applications.
    ///
    /// # Errors
    /// If the agent cannot be asked.
    pub async fn apps(&self) -> Result<Vec<App>, Error> {
        let names = self.agent.apps().await?;
        names.into_iter().map(|name| name.parse().map_err(|bad| Error::Strange(format!("{bad}")))).collect()
    }

    /// Output of a step from `offset` on, and the offset after it.
    ///
    /// # Errors
    /// If there is none, or the agent cannot be asked.
    pub async fn output(&self, id: DeploymentId, step: Step, offset: u64) -> Result<(Vec<u8>, u64), Error> {
        Ok(self.agent.output(id.0, step.word(), offset).await?)
    }

    /// Asks for a backup that is then proven; `daily` also deletes what is no longer kept.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn back_up(&self, app: &App, daily: bool) -> Result<u32, Error> {
        let options = if daily { HashMap::from([("daily", Variant::Bool(true))]) } else { HashMap::new() };
        Ok(self.agent.back_up(app.as_str(), options).await?)
    }

    /// Asks to prove a backup, or the newest.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn verify_backup(&self, app: &App, name: Option<&BackupName>) -> Result<u32, Error> {
        Ok(self.agent.verify_backup(app.as_str(), name.map_or("", BackupName::as_str)).await?)
    }

    /// The databases of an application that were set aside, oldest first.
    ///
    /// # Errors
    /// If the agent cannot be asked.
    pub async fn quarantines(&self, app: &App) -> Result<Vec<QuarantineView>, Error> {
        view(&self.agent.quarantines(app.as_str()).await?)
    }

    /// What a restore would do.
    ///
    /// # Errors
    /// If there is no such backup, or the agent cannot be asked.
    pub async fn restore_plan(
        &self,
        app: &App,
        name: &BackupName,
        release: Option<ReleaseId>,
    ) -> Result<RestoreView, Error> {
        view(&self.agent.restore_plan(app.as_str(), name.as_str(), release.map_or(0, |id| id.0)).await?)
    }

    /// Asks for a restore; `database` is what was typed.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn restore(
        &self,
        app: &App,
        name: &BackupName,
        database: &str,
        release: Option<ReleaseId>,
    ) -> Result<DeploymentId, Error> {
        let release = release.map_or(0, |id| id.0);
        Ok(DeploymentId(self.agent.restore_backup(app.as_str(), name.as_str(), database, release).await?))
    }

    /// Asks to delete the backups that are no longer kept.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn prune_backups(&self, app: &App) -> Result<u32, Error> {
        Ok(self.agent.prune_backups(app.as_str()).await?)
    }

    /// Asks for what is not off-site to be carried there.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn push_backups(&self, app: &App) -> Result<u32, Error> {
        Ok(self.agent.push_backups(app.as_str()).await?)
    }

    /// The backups that are no longer kept.
    ///
    /// # Errors
    /// If the agent cannot be asked.
    pub async fn doomed_backups(&self, app: &App) -> Result<Vec<Doomed>, Error> {
        view(&self.agent.doomed_backups(app.as_str()).await?)
    }

    /// The backups of an application, newest first.
    ///
    /// # Errors
    /// If the agent cannot be asked.
    pub async fn backups(&self, app: &App) -> Result<Vec<BackupRow>, Error> {
        view(&self.agent.backups(app.as_str()).await?)
    }

    /// Everything about one backup.
    ///
    /// # Errors
    /// If there is none, or the agent cannot be asked.
    pub async fn backup(&self, app: &App, name: &BackupName) -> Result<BackupView, Error> {
        view(&self.agent.backup(app.as_str(), name.as_str()).await?)
    }

    /// How far something is that was asked about backups.
    ///
    /// # Errors
    /// If there is none, or the agent cannot be asked.
    pub async fn backup_run(&self, id: u32) -> Result<CareView, Error> {
        view(&self.agent.backup_run(id).await?)
    }
}

/// What the agent tells by itself.
pub struct Watch {
    changed: ChangedStream,
    owner: OwnerChangedStream<'static>,
}

/// One piece of it.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// Something about the deployment changed: look.
    Changed,
    /// The agent, or the bus, went away.
    Lost,
}

impl Watch {
    /// Waits for news about one deployment.
    pub async fn next(&mut self, id: DeploymentId) -> News {
        loop {
            tokio::select! {
                signal = self.changed.next() => match signal {
                    Some(signal) if signal.args().is_ok_and(|args| args.id == id.0) => return News::Changed,
                    Some(_) => {}
                    None => return News::Lost,
                },
                owner = self.owner.next() => return match owner {
                    Some(Some(_)) => News::Changed,
                    Some(None) | None => News::Lost,
                },
            }
        }
    }
}

pub(super) fn view<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let strange = |error: serde_json::Error| Error::Strange(error.to_string());
    let mut value = serde_json::from_str(text).map_err(strange)?;
    clean(&mut value);
    serde_json::from_value(value).map_err(strange)
}

/// Every text of a view, once, here: no screen has to think of it.
fn clean(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = plain(text),
        serde_json::Value::Array(values) => values.iter_mut().for_each(clean),
        serde_json::Value::Object(values) => values.values_mut().for_each(clean),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}
