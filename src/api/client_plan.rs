//! The calling side of what asks the repository.

use std::time::Duration;

use super::client::{Client, Error, view};
use crate::model::names::{App, Wanted};
use crate::model::plan::PlanView;

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
}
