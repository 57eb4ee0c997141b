//! The calling side of the gates and the audit.

use super::client::{Client, Error, view};
use super::plain;
use crate::model::audit::Entry;
use crate::model::gates::HoldKind;
use crate::model::names::{App, DeploymentId};
use crate::model::view::GatesView;

impl Client {
    /// Puts something in the way of deployments, until a moment in milliseconds since 1970 (UTC) or until it is lifted.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn hold(&self, app: &App, kind: HoldKind, until: Option<i64>, reason: &str) -> Result<(), Error> {
        Ok(self.agent.hold(app.as_str(), kind.word(), until.unwrap_or_default(), reason).await?)
    }

    /// Takes it away.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn lift(&self, app: &App, kind: HoldKind) -> Result<(), Error> {
        Ok(self.agent.lift(app.as_str(), kind.word()).await?)
    }

    /// Lets triggers try a revision again; the whole revision.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn forgive(&self, app: &App, revision: &str) -> Result<String, Error> {
        Ok(plain(&self.agent.forgive(app.as_str(), revision).await?))
    }

    /// Approves or rejects a deployment that waits for it; the name of what was approved.
    ///
    /// # Errors
    /// If it is refused, or the agent cannot be asked.
    pub async fn decide(&self, id: DeploymentId, approved: bool, reason: &str) -> Result<String, Error> {
        Ok(plain(&self.agent.decide(id.0, approved, reason).await?))
    }

    /// The last entries of the audit, oldest first. Not cleaned, for their bytes are what was hashed: whoever shows one
    /// reads its record, which JSON keeps free of control characters, and cleans that.
    ///
    /// # Errors
    /// If the agent cannot be asked.
    pub async fn audit(&self, app: Option<&App>, limit: u32) -> Result<Vec<Entry>, Error> {
        let text = self.agent.audit(app.map_or("", App::as_str), limit).await?;
        serde_json::from_str(&text).map_err(|error| Error::Strange(error.to_string()))
    }

    /// What every gate answers now.
    ///
    /// # Errors
    /// If there is no such application, or the agent cannot be asked.
    pub async fn gates(&self, app: &App) -> Result<GatesView, Error> {
        view(&self.agent.gates(app.as_str()).await?)
    }
}
