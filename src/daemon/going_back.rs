//! What a rollback would do. Changes nothing: it is told from what is recorded, and the inspection has the last word.

use super::Daemon;
use super::orders::broken;
use super::plan::schema;
use crate::api::Refusal;
use crate::config::Migrations;
use crate::model::going_back::{Known, Outlook, RollbackView, outlook};
use crate::model::names::{App, DeploymentId};

impl Daemon {
    /// What a rollback to the release of deployment `to`, or to the one before the live one, would do now.
    pub(super) async fn rollback_plan(&self, app: App, to: Option<DeploymentId>) -> Result<RollbackView, Refusal> {
        let settings = self.settings(&app)?;
        self.nothing_stuck(&app).await?;
        let release = self.release_to_go_back_to(&app, to).await?;
        let revision = self.store.built(release).await.map_err(broken)?.map(|built| built.revision);
        let schema = schema(&settings).await;
        let proven = match (&revision, &schema) {
            (Some(revision), Ok(schema)) => self.lives_ahead(&app, revision, schema).await?,
            _ => false,
        };
        // A release has the number of the deployment that built it.
        let journal = self.store.journal(DeploymentId(release.0)).await.map_err(broken)?;
        let database = settings.database.as_ref();
        let found = outlook(&Known {
            release,
            database: database.is_some(),
            named: database.is_some_and(|database| matches!(database.migrations, Migrations::Alembic { .. })),
            schema: &schema,
            built: journal.inspected(),
            proven,
        });
        let refused = match &found {
            Outlook::Refused(cause) => Some((cause.what.clone(), cause.hint.clone().unwrap_or_default())),
            _ => None,
        };
        Ok(RollbackView {
            live: self.live_now(&app).await?,
            release,
            revision,
            case: found.case(),
            database: found.database(schema.as_deref().unwrap_or_default()),
            because: found.because().to_owned(),
            lost: found.lost().to_owned(),
            refused,
            open: self.open_now(&app).await?,
            schema,
            app,
        })
    }
}
