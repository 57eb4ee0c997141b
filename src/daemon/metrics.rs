//! What is told to a monitoring system: asked for over the bus, and kept in a file that node_exporter collects.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Daemon;
use super::orders::broken;
use crate::api::{Kind, Refusal};
use crate::host::{backups, files};
use crate::model::metrics::{
    self, AppMetrics, BackupsTold, Ended, Format, LastEnded, MetricsView, NewestBackup, StepTook,
};
use crate::model::names::App;
use crate::model::view::{DeploymentView, HistoryRow};

/// A file that is older than this tells that the core is gone. All times in it are moments and not ages, so it need not be
/// made anew while nothing happens, and an idle core sleeps.
const EVERY: Duration = Duration::from_mins(15);
/// A deployment has many changes; nobody looks more often than this.
const PAUSE: Duration = Duration::from_secs(5);

impl Daemon {
    /// Everything that is told.
    pub(super) async fn metrics(&self) -> Result<MetricsView, Refusal> {
        let ended = self.store.ended().await.map_err(broken)?;
        let configured = crate::config::apps().map_err(|error| Refusal::new(Kind::Configuration, error.to_string()))?;
        // An application whose settings are gone has its past all the same.
        let apps: BTreeSet<App> = configured.into_iter().chain(ended.iter().map(|(app, _)| app.clone())).collect();
        let mut view = MetricsView { version: env!("CARGO_PKG_VERSION").to_owned(), apps: Vec::new() };
        for app in apps {
            let own = ended.iter().filter(|(of, _)| *of == app).map(|(_, ended)| ended.clone()).collect();
            view.apps.push(self.metrics_of(app, own).await?);
        }
        Ok(view)
    }

    async fn metrics_of(&self, app: App, ended: Vec<Ended>) -> Result<AppMetrics, Refusal> {
        let rows = self.store.history(Some(&app), 2).await.map_err(broken)?;
        let is = |state: &str| rows.iter().any(|row| row.state == state);
        let last = match rows.iter().find(|row| row.ended.is_some()) {
            Some(row) => self.last_ended(row).await?,
            None => None,
        };
        let has_database = crate::config::load(&app).is_ok_and(|settings| settings.database.is_some());
        Ok(AppMetrics {
            ended,
            running: is("running"),
            waiting: is("waiting"),
            queue: self.store.waiting_pushes(Some(&app)).await.map_err(broken)?.len(),
            last,
            backups: has_database.then(|| told(&app)).flatten(),
            door_closed: files::door_closed(&app),
            maintenance: files::in_maintenance(&app),
            app,
        })
    }

    async fn last_ended(&self, row: &HistoryRow) -> Result<Option<LastEnded>, Refusal> {
        let journal = self.store.journal(row.id).await.map_err(broken)?;
        Ok(last_of(&super::views::deployment(row.clone(), String::new(), &journal)))
    }

    /// Keeps the file as it is now.
    pub(super) async fn keep_metrics(self: Arc<Self>) {
        let mut changes = self.changes.subscribe();
        loop {
            let written = match self.metrics().await {
                Ok(view) => {
                    files::write_metrics(&metrics::text(&view, Format::Prometheus)).map_err(|error| error.to_string())
                }
                Err(refusal) => Err(refusal.what),
            };
            if let Err(why) = written {
                tracing::warn!("the metrics are not written: {why}");
            }
            tokio::time::sleep(PAUSE).await;
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(EVERY.saturating_sub(PAUSE)) => {}
            }
        }
    }
}

fn told(app: &App) -> Option<BackupsTold> {
    let all = backups::all(app).ok()?;
    let newest = all.iter().find_map(|view| {
        Some(NewestBackup { at: view.row.at?, level: view.row.level.filter(|_| view.row.problem.is_none()) })
    });
    let proven = all.iter().find(|view| view.row.is_proven()).and_then(|view| view.row.at);
    Some(BackupsTold { count: all.len(), newest, proven })
}

/// What is told of a deployment that has ended.
fn last_of(view: &DeploymentView) -> Option<LastEnded> {
    let (result, at) = view.verdict.zip(view.ended)?;
    let mut steps: Vec<StepTook> = Vec::new();
    for step in &view.steps {
        let took = step.took.unwrap_or_default();
        match steps.iter_mut().find(|known| known.step == step.step) {
            Some(known) => known.took += took,
            None => steps.push(StepTook { step: step.step, took }),
        }
    }
    Some(LastEnded {
        id: view.id,
        result,
        at,
        took: at - view.accepted,
        downtime: view.felt.as_ref().map(|felt| felt.down_ms),
        window: view.window,
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::fixtures;
    use crate::model::step::Step;

    #[test]
    fn attempts_of_a_step_are_told_together() {
        let last = last_of(&fixtures::needs_operator()).unwrap();
        let restore = last.steps.iter().filter(|one| one.step == Step::Restore).collect::<Vec<_>>();
        assert_eq!(restore, [&StepTook { step: Step::Restore, took: 130 }]);
        assert_eq!(last.took, last.at - fixtures::ASKED);
        assert_eq!(last_of(&fixtures::running()), None);
    }
}
