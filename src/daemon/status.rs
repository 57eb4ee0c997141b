//! What is true now: asked from systemd, the disk and the database, not from memory.

use super::Daemon;
use super::orders::broken;
use crate::api::{Kind, Refusal};
use crate::config::{Migrations, Settings};
use crate::database::Cluster;
use crate::host::files;
use crate::model::names::{App, SchemaRevision};
use crate::model::outcome::Verdict;
use crate::model::view::{DeploymentView, StatusView, UnitView};

impl Daemon {
    pub(super) async fn status_of(&self, app: App) -> Result<StatusView, Refusal> {
        let settings = match crate::config::load(&app) {
            Ok(settings) => settings,
            Err(error) => return Err(Refusal::new(Kind::Configuration, error.to_string())),
        };
        let release = files::link(&app)
            .map_err(|error| Refusal::new(Kind::Internal, format!("the link to the live release: {error}")))?;
        let revision = match release {
            Some(release) => self.store.built(release).await.map_err(broken)?.map(|built| built.revision),
            None => None,
        };
        let good = self.store.good(&app).await.map_err(broken)?;
        let rows = self.store.history(Some(&app), 2).await.map_err(broken)?;
        let running = rows.iter().find(|row| row.ended.is_none()).map(|row| row.id);
        Ok(StatusView {
            release,
            revision,
            verified: good.filter(|good| Some(*good) != release),
            units: self.unit_views(&settings).await?,
            door_closed: files::door_closed(&app),
            schema: schema(&settings).await,
            running,
            pushes: self.waiting_pushes(&app).await.map_err(broken)?,
            last: rows.into_iter().find(|row| row.ended.is_some()),
            app,
        })
    }

    async fn unit_views(&self, settings: &Settings) -> Result<Vec<UnitView>, Refusal> {
        let mut views = Vec::new();
        for name in settings.all_units() {
            let state = self.systemd.state(name.as_str()).await;
            let state = state.map_err(|cause| Refusal::new(Kind::Internal, cause.what))?;
            let known = state.load == "loaded";
            views.push(UnitView {
                name: name.to_string(),
                state: if !known {
                    "missing".to_owned()
                } else if state.sub == "auto-restart" {
                    "restarting".to_owned()
                } else {
                    state.active.clone()
                },
                since: (state.since > 0).then(|| i64::try_from(state.since / 1000).unwrap_or_default()),
                restarts: state.restarts,
                // The core cannot look into processes of other users; the probes can.
                from_release: None,
            });
        }
        Ok(views)
    }

    /// After an end that nothing has verified, says what is there instead of what should be.
    pub(super) async fn tell_what_serves(&self, view: &mut DeploymentView) {
        if view.verdict != Some(Verdict::NeedsOperator) {
            return;
        }
        let Ok(status) = self.status_of(view.app.clone()).await else { return };
        let link = status.release.map_or_else(|| "no release".to_owned(), |id| format!("release {id}"));
        let units: Vec<String> = status.units.iter().map(|unit| format!("{} is {}", unit.name, unit.state)).collect();
        let door = if status.door_closed { "the door is closed: nginx answers 503" } else { "the door is open" };
        view.serving = format!("not verified: the link points to {link}, {}, {door}", units.join(", "));
    }
}

async fn schema(settings: &Settings) -> Option<Result<Vec<String>, String>> {
    let database = settings.database.as_ref()?;
    let Migrations::Alembic { table, .. } = &database.migrations else { return None };
    let revisions = Cluster::local().schema_revisions(&database.name, table).await;
    Some(match revisions {
        Ok(revisions) => Ok(revisions.iter().map(SchemaRevision::to_string).collect()),
        Err(error) => Err(error.to_string()),
    })
}
