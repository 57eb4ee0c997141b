//! What a deployment would do, and how two revisions differ. Nothing is changed: a step unit reads the repository in a
//! mirror of its own, and the rest is known here.

use tokio::sync::{mpsc, watch};

use super::Daemon;
use super::orders::broken;
use crate::api::{Kind, Refusal};
use crate::config::{MigrationLane, Migrations, Settings};
use crate::database::Cluster;
use crate::deploy::SPACE;
use crate::deploy::world::World;
use crate::host::files;
use crate::model::journal::{Cause, Output};
use crate::model::names::{App, DeploymentId, SchemaRevision, Wanted};
use crate::model::plan::{self, Compared, Live, PlanView, Rule};
use crate::model::request::{Report, Request, Work};

impl Daemon {
    /// What a deployment of `wanted`, or of the configured branch, would do now.
    pub(super) async fn plan(&self, app: App, wanted: Option<Wanted>) -> Result<PlanView, Refusal> {
        let settings = self.settings(&app)?;
        let live = self.live_now(&app).await?;
        let running = live.as_ref().and_then(|live| live.revision.clone());
        let schema = schema(&settings).await;
        let work = Work::Plan {
            wanted: wanted.clone(),
            against: running.as_ref().and_then(|sha| sha.as_str().parse().ok()),
            current: schema.clone().ok(),
        };
        let mut compared = self.compare(&settings, work).await?;
        let current = match &schema {
            Ok(current) => current.as_slice(),
            Err(why) => {
                compared.migrations.unknown = Some(format!("the database cannot be asked: {why}"));
                &[]
            }
        };
        let to = compared.to.revision.clone();
        if compared.migrations.unknown.is_some() && self.lives_ahead(&app, &to, current).await? {
            compared.migrations = plan::Migrations { unknown: None, trouble: None, ..compared.migrations };
        }
        let earlier = self.store.earlier(&app).await.map_err(broken)?;
        let rehearsal = plan::rehearsed(&earlier, &compared.migrations.pending);
        let rule = settings.database.as_ref().map(|database| Rule {
            stop: database.lane == MigrationLane::Stop,
            fenced: database.lane == MigrationLane::Fenced,
            rehearse: database.rehearse,
        });
        let rule = rule.unwrap_or(Rule { stop: false, fenced: false, rehearse: false });
        let (lane, lane_note) = plan::lane(&compared.migrations, rule, rehearsal.as_ref());
        let descends = compared.from.as_ref().map(|_| compared.gone.count == 0);
        let mut kept = self.store.releases_of(&app, &to).await.map_err(broken)?;
        kept.retain(|release| files::has_release(&app, *release));
        Ok(PlanView {
            wanted: wanted.map_or_else(|| settings.source.branch.clone(), String::from),
            database: settings.database.is_some(),
            schema: current.iter().map(ToString::to_string).collect(),
            expected: match lane {
                Some(lane) => self.expected(&app, Some(lane)).await?,
                None => Default::default(),
            },
            gates: self.gates_for(&settings, &to, running.as_ref(), descends).await?,
            open: self.open_now(&app).await?,
            rollback: plan::rollback(live.as_ref(), lane),
            app,
            live,
            compared,
            lane,
            lane_note,
            rehearsal,
            kept,
        })
    }

    /// The deployment that has not ended.
    pub(super) async fn open_now(&self, app: &App) -> Result<Option<DeploymentId>, Refusal> {
        let last = self.store.history(Some(app), 1).await.map_err(broken)?;
        Ok(last.first().filter(|row| row.ended.is_none()).map(|row| row.id))
    }

    pub(super) async fn live_now(&self, app: &App) -> Result<Option<Live>, Refusal> {
        let Some(release) = Self::live(app)? else { return Ok(None) };
        let built = self.store.built(release).await.map_err(broken)?;
        let verified = self.store.good(app).await.map_err(broken)? == Some(release);
        Ok(Some(Live { release, revision: built.map(|built| built.revision), verified }))
    }

    /// Whether this revision was proven to live on the schema as it is, though it may not know it.
    pub(super) async fn lives_ahead(
        &self,
        app: &App,
        revision: &crate::model::names::Sha,
        schema: &[SchemaRevision],
    ) -> Result<bool, Refusal> {
        Ok(!schema.is_empty() && self.store.proven_on(app, revision, schema).await.map_err(broken)?)
    }

    /// What the repository says. One is asked after another: there is one unit, and nobody is in a hurry.
    pub(super) async fn compare(&self, settings: &Settings, work: Work) -> Result<Compared, Refusal> {
        let app = &settings.app;
        if let Some((place, free)) = files::space(app).into_iter().find(|(_, free)| *free < SPACE) {
            let what = format!("only {} MiB are free on {}, so nothing is fetched", free >> 20, place.display());
            return Err(Refusal::new(Kind::NotPossible, what).hint("`tsh-agent check` says what is full"));
        }
        let _one = self.planning.lock().await;
        match self.run_alone(settings, &Request::alone(work)).await {
            Ok(Output::Compared(compared)) => Ok(*compared),
            Ok(_) => Err(Refusal::internal("the step that reads the repository answered something else")),
            Err(cause) => {
                let refusal = Refusal::new(Kind::NotPossible, cause.what);
                Err(match cause.hint {
                    Some(hint) => refusal.hint(hint),
                    None => refusal.hint(format!("`journalctl -u tsh-agent-plan@{app} -n 20` shows what it said")),
                })
            }
        }
    }

    /// Runs a step unit outside of any journal, for what need not be remembered.
    pub(super) async fn run_alone(&self, settings: &Settings, request: &Request) -> Result<Output, Cause> {
        let (_stop, never) = watch::channel(None);
        let (_, mut nobody) = mpsc::unbounded_channel();
        let mut machine = self.machine(settings, DeploymentId(0), 0, never, &mut nobody);
        let kind = request.work.kind();
        let before = machine.clear_step(kind).await?;
        machine.begin_step(kind, request).await?;
        match machine.finish_step(kind, &before, &[]).await? {
            Report::Done(output) => Ok(output),
            Report::Failed(cause) => Err(cause),
        }
    }
}

/// Revisions the live database is at; none where the migrations' tool has no names for them.
pub(super) async fn schema(settings: &Settings) -> Result<Vec<SchemaRevision>, String> {
    let Some(database) = &settings.database else { return Ok(Vec::new()) };
    let Migrations::Alembic { table, .. } = &database.migrations else { return Ok(Vec::new()) };
    Cluster::local().schema_revisions(&database.name, table).await.map_err(|error| error.to_string())
}
