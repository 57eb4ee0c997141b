//! What a monitoring system is told: numbers and moments, in the text format of Prometheus, which node_exporter reads from
//! a file, and in OpenMetrics.

mod spread;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::backup::Level;
use super::names::{App, DeploymentId};
use super::outcome::Verdict;
use super::step::Step;
pub use spread::{Spread, Within};

/// Everything that is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsView {
    /// The version of the core that tells it.
    pub version: String,
    /// Each application.
    pub apps: Vec<AppMetrics>,
}

/// One application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppMetrics {
    /// Which.
    pub app: App,
    /// Deployments that have ended, since there is a state.
    pub ended: Vec<Ended>,
    /// Whether one runs.
    pub running: bool,
    /// Whether one waits for its gates.
    pub waiting: bool,
    /// Pushes and requests whose turn has not come.
    pub queue: usize,
    /// The last one that has ended.
    pub last: Option<LastEnded>,
    /// The backups, where there is a database.
    pub backups: Option<BackupsTold>,
    /// Whether a deployment has closed the door.
    pub door_closed: bool,
    /// Whether a person keeps people out.
    pub maintenance: bool,
}

/// Deployments of one kind that have ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// "deploy", "rollback" or "restore".
    pub kind: String,
    /// The word of the verdict.
    pub result: String,
    /// How many.
    pub count: u64,
    /// What they took together, in milliseconds, from the order to the end.
    pub took: i64,
    /// How many of them took at most so long, the shortest first.
    #[serde(default)]
    pub within: Vec<Within>,
    /// For how long users got no good answer, where that was measured.
    #[serde(default)]
    pub downtime: Option<Spread>,
}

impl Ended {
    /// No deployment yet.
    #[must_use]
    pub fn none(kind: &str, result: &str) -> Self {
        Self { kind: kind.into(), result: result.into(), count: 0, took: 0, within: Vec::new(), downtime: None }
    }

    /// One more: what it took, and for how long users got no good answer, in milliseconds.
    pub fn add(&mut self, took: i64, downtime: Option<i64>) {
        self.count += 1;
        self.took += took;
        spread::add(&mut self.within, &spread::TOOK, took);
        if let Some(ms) = downtime {
            self.downtime.get_or_insert_default().add(&spread::DOWN, ms);
        }
    }
}

/// The last deployment that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastEnded {
    /// Its number.
    pub id: DeploymentId,
    /// How.
    pub result: Verdict,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// What it took, in milliseconds, from the order to the end.
    pub took: i64,
    /// For how long users got no good answer, in milliseconds, if it was measured.
    pub downtime: Option<u64>,
    /// For how long the door was closed, in milliseconds, if it was.
    pub window: Option<u64>,
    /// Each step that it took, in milliseconds, all attempts together.
    pub steps: Vec<StepTook>,
}

/// What one step took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTook {
    /// Which.
    pub step: Step,
    /// In milliseconds.
    pub took: i64,
}

/// The backups of one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupsTold {
    /// How many there are.
    pub count: usize,
    /// The newest.
    pub newest: Option<NewestBackup>,
    /// When the newest that is proven was taken, likewise.
    pub proven: Option<i64>,
}

/// The newest backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewestBackup {
    /// When it was taken, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// What is proven about it; `None` if it is not good.
    pub level: Option<Level>,
}

/// In which words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format 0.0.4, for a file that node_exporter collects.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    /// Only ever grows.
    Counter,
    /// How many were at most so much, a sum and a count.
    Histogram,
    /// Labels are what is told; the number is 1.
    Info,
    /// One label that may have one of several values; that one is 1.
    StateSet,
}

/// Suffix of the name, labels and value.
type Sample = (&'static str, Vec<(&'static str, String)>, String);

/// One thing that is told, of all applications.
struct Family {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    samples: Vec<Sample>,
}

/// The text.
#[must_use]
pub fn text(view: &MetricsView, format: Format) -> String {
    let mut out = String::new();
    for family in families(view).iter().filter(|family| !family.samples.is_empty()) {
        family.write(&mut out, format);
    }
    if format == Format::OpenMetrics {
        out += "# EOF\n";
    }
    out
}

fn families(view: &MetricsView) -> Vec<Family> {
    let mut build = Family::new("tsh_agent_build", Kind::Info, "The agent that runs.");
    build.samples.push(("_info", vec![("version", view.version.clone())], "1".to_owned()));
    let told: [(Kind, &str, &str, Told); 18] = [
        (Kind::Counter, "tsh_agent_deployments", "Deployments that have ended.", deployments),
        (Kind::Histogram, "tsh_agent_deployment_duration_seconds", "From the order to the end.", durations),
        (
            Kind::Histogram,
            "tsh_agent_deployment_downtime_seconds",
            "For how long users got no good answer in a deployment, where that was measured.",
            downtimes,
        ),
        (Kind::Gauge, "tsh_agent_deployment_running", "Whether a deployment runs.", |app| flag(app.running)),
        (Kind::Gauge, "tsh_agent_deployment_waiting", "Whether a deployment waits for its gates.", |app| {
            flag(app.waiting)
        }),
        (Kind::Gauge, "tsh_agent_queue", "Pushes and requests whose turn has not come.", |app| {
            one(app.queue.to_string())
        }),
        (Kind::Gauge, "tsh_agent_door_closed", "Whether a deployment keeps people out.", |app| flag(app.door_closed)),
        (Kind::Gauge, "tsh_agent_maintenance", "Whether a person keeps people out.", |app| flag(app.maintenance)),
        (Kind::Gauge, "tsh_agent_last_deployment_number", "The last deployment that has ended.", |app| {
            last(app, |last| Some(last.id.to_string()))
        }),
        (Kind::StateSet, "tsh_agent_last_deployment_result", "How the last deployment ended.", results),
        (Kind::Gauge, "tsh_agent_last_deployment_timestamp_seconds", "When the last deployment ended.", |app| {
            last(app, |last| Some(seconds(last.at)))
        }),
        (Kind::Gauge, "tsh_agent_last_deployment_duration_seconds", "What the last deployment took.", |app| {
            last(app, |last| Some(seconds(last.took)))
        }),
        (Kind::Gauge, "tsh_agent_last_deployment_step_seconds", "What each step of the last deployment took.", steps),
        (
            Kind::Gauge,
            "tsh_agent_last_deployment_downtime_seconds",
            "For how long users got no good answer in it.",
            |app| last(app, |last| last.downtime.map(milliseconds)),
        ),
        (Kind::Gauge, "tsh_agent_last_deployment_window_seconds", "For how long the door was closed in it.", |app| {
            last(app, |last| last.window.map(milliseconds))
        }),
        (Kind::Gauge, "tsh_agent_backups", "Backups on this server.", |app| {
            backups(app, |backups| Some(backups.count.to_string()))
        }),
        (
            Kind::Gauge,
            "tsh_agent_newest_backup_timestamp_seconds",
            "When the newest backup was taken, by what is proven about it; \"matched\" is a proof.",
            newest,
        ),
        (
            Kind::Gauge,
            "tsh_agent_newest_proven_backup_timestamp_seconds",
            "When the newest backup was taken that was restored and matched.",
            |app| backups(app, |backups| backups.proven.map(seconds)),
        ),
    ];
    let of_apps = told.into_iter().map(|(kind, name, help, told)| {
        let mut family = Family::new(name, kind, help);
        for app in &view.apps {
            for (suffix, labels, value) in told(app) {
                let labels = [("app", app.app.to_string())].into_iter().chain(labels).collect();
                family.samples.push((suffix, labels, value));
            }
        }
        family
    });
    [build].into_iter().chain(of_apps).collect()
}

/// What one application adds to a family; its label is added to the others.
type Told = fn(&AppMetrics) -> Vec<Sample>;

fn one(value: String) -> Vec<Sample> {
    vec![("", Vec::new(), value)]
}

fn flag(on: bool) -> Vec<Sample> {
    one(u8::from(on).to_string())
}

fn last(app: &AppMetrics, what: fn(&LastEnded) -> Option<String>) -> Vec<Sample> {
    app.last.as_ref().and_then(what).map(one).unwrap_or_default()
}

fn backups(app: &AppMetrics, what: fn(&BackupsTold) -> Option<String>) -> Vec<Sample> {
    app.backups.as_ref().and_then(what).map(one).unwrap_or_default()
}

fn kinds(ended: &Ended) -> Vec<(&'static str, String)> {
    vec![("kind", ended.kind.clone()), ("result", ended.result.clone())]
}

fn deployments(app: &AppMetrics) -> Vec<Sample> {
    app.ended.iter().map(|ended| ("_total", kinds(ended), ended.count.to_string())).collect()
}

fn durations(app: &AppMetrics) -> Vec<Sample> {
    let all = |ended: &Ended| spread::samples(&kinds(ended), &ended.within, ended.count, seconds(ended.took));
    app.ended.iter().flat_map(all).collect()
}

fn downtimes(app: &AppMetrics) -> Vec<Sample> {
    let known = app.ended.iter().filter_map(|ended| Some((ended, ended.downtime.as_ref()?)));
    known
        .flat_map(|(ended, down)| spread::samples(&kinds(ended), &down.within, down.count, seconds(down.sum)))
        .collect()
}

fn results(app: &AppMetrics) -> Vec<Sample> {
    let Some(last) = &app.last else { return Vec::new() };
    let is = |verdict: Verdict| {
        let label = vec![("tsh_agent_last_deployment_result", verdict.word().to_owned())];
        ("", label, u8::from(verdict == last.result).to_string())
    };
    Verdict::ALL.into_iter().map(is).collect()
}

fn steps(app: &AppMetrics) -> Vec<Sample> {
    let steps = app.last.iter().flat_map(|last| &last.steps);
    steps.map(|one| ("", vec![("step", one.step.word().to_owned())], seconds(one.took))).collect()
}

fn newest(app: &AppMetrics) -> Vec<Sample> {
    let Some(newest) = app.backups.as_ref().and_then(|backups| backups.newest.as_ref()) else { return Vec::new() };
    vec![("", vec![("level", newest.level.map_or("none", Level::word).to_owned())], seconds(newest.at))]
}

/// Milliseconds as seconds. A clock that was put back makes no negative time.
fn seconds(ms: i64) -> String {
    milliseconds(u64::try_from(ms).unwrap_or_default())
}

fn milliseconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

impl Family {
    fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, kind, help, samples: Vec::new() }
    }

    fn write(&self, out: &mut String, format: Format) {
        let (suffix, kind) = match (format, self.kind) {
            (_, Kind::Gauge) | (Format::Prometheus, Kind::StateSet) => ("", "gauge"),
            (_, Kind::Histogram) => ("", "histogram"),
            (Format::OpenMetrics, Kind::Counter) => ("", "counter"),
            (Format::OpenMetrics, Kind::Info) => ("", "info"),
            (Format::OpenMetrics, Kind::StateSet) => ("", "stateset"),
            // Here a family has the name of its samples.
            (Format::Prometheus, Kind::Counter) => ("_total", "counter"),
            (Format::Prometheus, Kind::Info) => ("_info", "gauge"),
        };
        let name = format!("{}{suffix}", self.name);
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(self.help, format));
        if format == Format::OpenMetrics && name.ends_with("_seconds") {
            let _ = writeln!(out, "# UNIT {name} seconds");
        }
        for (suffix, labels, value) in &self.samples {
            let labels: Vec<String> = labels.iter().map(|(key, text)| format!("{key}=\"{}\"", quoted(text))).collect();
            let _ = writeln!(out, "{}{suffix}{{{}}} {value}", self.name, labels.join(","));
        }
    }
}

/// A value of a label.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A help text; only OpenMetrics escapes quotes in it.
fn escaped(text: &str, format: Format) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if format == Format::OpenMetrics { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
pub(crate) mod tests;
