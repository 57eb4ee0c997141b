//! The calling side of what asks the repository, and of the pins.

use std::time::Duration;

use super::client::{Client, Error, view};
use crate::model::going_back::RollbackView;
use crate::model::names::{App, DeploymentId, ReleaseId, Wanted};
use crate::model::plan::{DiffView, PlanView};

/// The core bounds how long the repository is asked, and one is asked after another; this is for a core that does not.
const PATIENCE: Duration = Duration::from_hours(2);

impl Client {
    /// What a deployment would do.
    ///
    /// # Errors
    /// If there is no such application or revision, the repository does not answer, or the agent cannot be asked.
    pub async fn plan(&self, app: &App, wanted: Option<&Wanted>) -> Result<PlanView, Error> {
        let patient = Self::within(self.address.clone(), PATIENCE).await?;
        view(&patient.agent.plan(app.as_str(), wanted.map_or("", Wanted::as_str)).await?)
    }

    /// How `to` differs from `from`.
    ///
    /// # Errors
    /// If there is no such application, deployment or revision, the repository does not answer, or the agent cannot be
    /// asked.
    pub async fn diff(&self, app: &App, from: &Wanted, to: &Wanted) -> Result<DiffView, Error> {
        let patient = Self::within(self.address.clone(), PATIENCE).await?;
        view(&patient.agent.diff(app.as_str(), from.as_str(), to.as_str()).await?)
    }

    /// What a rollback would do.
    ///
    /// # Errors
    /// If there is nothing to go back to, or the agent cannot be asked.
    pub async fn rollback_plan(&self, app: &App, to: Option<DeploymentId>) -> Result<RollbackView, Error> {
        view(&self.agent.rollback_plan(app.as_str(), to.map_or(0, |id| id.0)).await?)
    }

    /// Keeps a release until somebody takes the pin away.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn pin(&self, app: &App, release: ReleaseId, reason: &str) -> Result<(), Error> {
        Ok(self.agent.pin(app.as_str(), release.0, reason).await?)
    }

    /// Takes the pin away.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn unpin(&self, app: &App, release: ReleaseId) -> Result<(), Error> {
        Ok(self.agent.unpin(app.as_str(), release.0).await?)
    }
}
