//! What is true now: asked from systemd, the disk and the database, not from memory.

use super::Daemon;
use super::orders::broken;
use crate::api::{Kind, Refusal};
use crate::config::{Migrations, Role, Settings, Unit};
use crate::host::machine::now;
use crate::host::systemd::State;
use crate::host::{backups, files};
use crate::model::gates::{Hold, HoldKind};
use crate::model::journal::Journal;
use crate::model::names::{App, DeploymentId, SchemaRevision};
use crate::model::outcome::Verdict;
use crate::model::view::{BackupsNow, DeploymentView, StatusView, TimerNow, UnitView};
use crate::paths;

impl Daemon {
    pub(super) async fn status_of(&self, app: App) -> Result<StatusView, Refusal> {
        let settings = match crate::config::load(&app) {
            Ok(settings) => settings,
            Err(error) => return Err(Refusal::new(Kind::Configuration, error.to_string())),
        };
        let release = files::link(&app)
            .map_err(|error| Refusal::new(Kind::Internal, format!("the link to the live release: {error}")))?;
        let built = match release {
            Some(release) => self.store.built(release).await.map_err(broken)?,
            None => None,
        };
        let good = self.store.good(&app).await.map_err(broken)?;
        // Before the deployments: what is taken in between is then shown as one of them, and never as neither.
        let pushes = self.waiting_pushes(&app).await.map_err(broken)?;
        let rows = self.store.history(Some(&app), 2).await.map_err(broken)?;
        let running = rows.iter().find(|row| row.ended.is_none()).map(|row| row.id);
        let states = self.unit_states(&settings).await?;
        let made_live = match release {
            Some(release) => self.store.made_live(&app, release).await.map_err(broken)?,
            None => None,
        };
        let wanted_schema = match &made_live {
            Some((id, _)) => wanted_schema(&self.store.journal(*id).await.map_err(broken)?),
            None => Vec::new(),
        };
        Ok(StatusView {
            release,
            verified: good.filter(|good| Some(*good) != release),
            live_since: made_live.map(|(_, ended)| ended),
            wanted_schema,
            drift: drift(&app, &states),
            backups: backups_now(&settings),
            timers: self.timers(&settings).await,
            answers: Vec::new(),
            units: settings.service.units.iter().zip(states).map(|(unit, state)| unit_view(unit, &state)).collect(),
            door_closed: files::door_closed(&app),
            maintenance: self.maintenance_of(&app).await?,
            schema: schema(&settings).await,
            running,
            pushes,
            pinned: self.store.pins(&app).await.map_err(broken)?,
            held: self.held(&app).await?,
            last: rows.into_iter().find(|row| row.ended.is_some()),
            revision: built.as_ref().map(|built| built.revision.clone()),
            subject: built.map(|built| built.subject),
            app,
        })
    }

    /// What holds deployments back now. Maintenance does not, and is told by itself.
    async fn held(&self, app: &App) -> Result<Vec<Hold>, Refusal> {
        let mut holds = self.store.standing(app, None).await.map_err(broken)?.holds;
        let is_over = |hold: &Hold| hold.until.is_some_and(|until| until <= now());
        holds.retain(|hold| hold.kind != HoldKind::Maintenance && !is_over(hold));
        Ok(holds)
    }

    /// What systemd says of each unit, in the order of the settings.
    async fn unit_states(&self, settings: &Settings) -> Result<Vec<State>, Refusal> {
        let mut states = Vec::new();
        for name in settings.all_units() {
            let state = self.systemd.state(name.as_str()).await;
            states.push(state.map_err(|cause| Refusal::new(Kind::Internal, cause.what))?);
        }
        Ok(states)
    }

    /// When something starts by the clock: the daily backup, and the application's own timers.
    async fn timers(&self, settings: &Settings) -> Vec<TimerNow> {
        let backup = settings.database.is_some().then(|| format!("tsh-agent-backup@{}.timer", settings.app));
        let own = settings.units(Role::Timer).map(ToString::to_string);
        let mut timers = Vec::new();
        for name in backup.into_iter().chain(own) {
            let next = self.systemd.next_elapse(&name).await.map(|us| i64::try_from(us / 1000).unwrap_or_default());
            timers.push(TimerNow { name, next });
        }
        timers
    }

    /// Everything about one deployment.
    pub(super) async fn view(&self, id: DeploymentId) -> Result<DeploymentView, Refusal> {
        let Some((row, wanted)) = self.store.deployment(id).await.map_err(broken)? else {
            return Err(Refusal::no_deployment(id));
        };
        let journal = self.store.journal(id).await.map_err(broken)?;
        let mut view = super::views::deployment(row, wanted, &journal);
        self.tell_what_serves(&mut view).await;
        if view.verdict.is_none() {
            self.tell_what_is_expected(&mut view).await?;
        }
        view.notices = self.store.told(id).await.map_err(broken)?;
        Ok(view)
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

fn unit_view(unit: &Unit, state: &State) -> UnitView {
    UnitView {
        name: unit.name.to_string(),
        state: if state.load != "loaded" {
            "missing".to_owned()
        } else if state.sub == "auto-restart" {
            "restarting".to_owned()
        } else {
            state.active.clone()
        },
        since: (state.since > 0).then(|| i64::try_from(state.since / 1000).unwrap_or_default()),
        restarts: state.restarts,
        // The core cannot look into processes of other users; the client may be able to.
        from_release: None,
        role: match unit.role {
            Role::Web => "web",
            Role::Worker => "worker",
            Role::Timer => "timer",
        }
        .to_owned(),
        pid: state.pid,
    }
}

/// The schema that a deployment was verified on.
fn wanted_schema(journal: &Journal) -> Vec<String> {
    let inspected = journal.inspected().map(|inspected| inspected.target.as_slice()).unwrap_or_default();
    inspected.iter().map(SchemaRevision::to_string).collect()
}

/// What was changed beside a deployment, as far as it is seen without reading much.
fn drift(app: &App, states: &[State]) -> Vec<String> {
    let mut found = Vec::new();
    let file = paths::environment(app);
    let changed = files::modified(&file).unwrap_or_default();
    for state in states.iter().filter(|state| state.up() && state.pid > 0) {
        if changed > i64::try_from(state.since / 1000).unwrap_or(i64::MAX) {
            found.push(format!(
                "{} was changed after {} was started: a deployment takes it up",
                file.display(),
                state.name
            ));
        }
    }
    for state in states.iter().filter(|state| state.stale) {
        found.push(format!("the unit file of {} was changed: `sudo systemctl daemon-reload`", state.name));
    }
    found
}

/// The backups in short; `None` where there is nothing to back up.
fn backups_now(settings: &Settings) -> Option<BackupsNow> {
    settings.database.as_ref()?;
    let all = backups::all(&settings.app).ok()?;
    let newest = |proven: bool| all.iter().find(|view| !proven || view.row.is_proven()).and_then(|view| view.row.at);
    Some(BackupsNow { count: all.len(), newest: newest(false), proven: newest(true) })
}

/// What the live database is at; `None` where nothing has a name for that.
async fn schema(settings: &Settings) -> Option<Result<Vec<String>, String>> {
    matches!(settings.database.as_ref()?.migrations, Migrations::Alembic { .. }).then_some(())?;
    Some(super::plan::schema(settings).await.map(|all| all.iter().map(SchemaRevision::to_string).collect()))
}
