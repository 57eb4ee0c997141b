//! The schema of `--json`: every field of every view with its type, taken from views with everything in them, and held against `tsh-agent-json(7)`, which is what programs are promised.

use std::collections::{BTreeMap, BTreeSet};

use clap::CommandFactory as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::render::diff::tests as differs;
use super::render::fixtures::{self, ASKED, sha};
use super::render::plan::tests as planned;
use crate::config::{EXAMPLE, in_force_of, manual};
use crate::init::hook::instructions;
use crate::model::audit::{Record, Who};
use crate::model::backup::{BackupRow, BackupView, Doomed, File, Level, Proof, Reached, testing::manifest};
use crate::model::files::Files;
use crate::model::finding::Finding;
use crate::model::gates::{Answer, Gate, Reply};
use crate::model::journal::{Cause, Felt};
use crate::model::key::{Allow, KeyView};
use crate::model::leaving::Leaving;
use crate::model::metrics::{self, MetricsView};
use crate::model::names::{DeploymentId, ReleaseId};
use crate::model::notice::{Delivery, NoticeView};
use crate::model::offsite::Sent;
use crate::model::pin::Pin;
use crate::model::plan::{DiffView, PlanView};
use crate::model::push::Hook;
use crate::model::quarantine::QuarantineView;
use crate::model::rehearsal::{self, Held, Statement, Window};
use crate::model::restore::RestoreView;
use crate::model::trigger::Forge;
use crate::model::view::{DeploymentView, GatesView, HistoryRow, RunView, StatusView};

/// Path of a field → the words for its types.
type Shape = BTreeMap<String, BTreeSet<&'static str>>;

/// What is below them is data, and has no schema.
const DATA: [&str; 6] =
    ["settings[].value", "now[].value", "default", "example", "manifest.extensions", "expected.steps"];
/// Of those, what has its names from the data and is an object all the same.
const NAMED_BY_DATA: [&str; 2] = ["manifest.extensions", "expected.steps"];

fn add(shape: &mut Shape, path: &str, value: &Value) {
    let word = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    if !path.is_empty() {
        shape.entry(path.to_owned()).or_default().insert(word);
    }
    for (_, path, value) in below(value, path) {
        add(shape, &path, value);
    }
}

/// What is in a value: its step of a JSON pointer, the path of its shape, and itself.
fn below<'a>(value: &'a Value, path: &str) -> Vec<(String, String, &'a Value)> {
    match value {
        _ if DATA.contains(&path) => Vec::new(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (format!("/{at}"), format!("{path}[]"), item)).collect()
        }
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            fields.iter().map(|(name, value)| (format!("/{name}"), format!("{path}{dot}{name}"), value)).collect()
        }
        _ => Vec::new(),
    }
}

/// Notes what the type itself takes null for.
fn nulls<T: DeserializeOwned>(shape: &mut Shape, whole: &Value, value: &Value, pointer: &str, path: &str) {
    for (step, path, value) in below(value, path) {
        let pointer = format!("{pointer}{step}");
        let mut with = whole.clone();
        *with.pointer_mut(&pointer).unwrap() = Value::Null;
        if serde_json::from_value::<T>(with).is_ok() {
            shape.get_mut(&path).unwrap().insert("null");
        }
        nulls::<T>(shape, whole, value, &pointer, &path);
    }
}

/// What these have, as the manual has it: a line each.
fn shape<T: Serialize + DeserializeOwned>(views: &[T]) -> String {
    let mut shape = Shape::new();
    for view in views {
        let value = serde_json::to_value(view).unwrap();
        add(&mut shape, "", &value);
        nulls::<T>(&mut shape, &value, &value, "", "");
    }
    lines(&shape)
}

/// The same for views that nobody reads back: null is what is null in one of them.
fn told<T: Serialize>(views: &[T]) -> String {
    let mut shape = Shape::new();
    views.iter().for_each(|view| add(&mut shape, "", &serde_json::to_value(view).unwrap()));
    lines(&shape)
}

fn lines(shape: &Shape) -> String {
    let line = |(path, words): (&String, &BTreeSet<&str>)| {
        let (mut words, null): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| **word != "null");
        words.extend(null);
        let any = DATA.contains(&path.as_str()) && !NAMED_BY_DATA.contains(&path.as_str());
        format!("{path} {}\n", if any { "any".to_owned() } else { words.join("|") })
    };
    shape.iter().map(line).collect()
}

fn leaving() -> Leaving {
    let (schema, name) = ("public".into(), "orders".into());
    Leaving { schema, name, rows: 12, since: Some(2), other: Some(10), counted: true }
}

fn answer() -> Answer {
    let (reason, lift) = ("locked by olga".into(), Some("an operator: `tsh-agent unlock`".into()));
    Answer { gate: Gate::Lock, reply: Reply::Wait { until: Some(ASKED) }, reason, lift, since: Some(1), seen: Some(1) }
}

/// With everything that there can be.
fn deployment() -> DeploymentView {
    let mut view = fixtures::pushed();
    let mut rehearsal = rehearsal::testing::good("b2c4e6f8");
    rehearsal.window = Some(Window { predicted: 8_200, twin: 2_400, migrate: 1_900, rest: 3_900 });
    rehearsal.against = vec!["it holds a lock for too long".into()];
    rehearsal.migration.locks = vec![Held { table: "public.orders".into(), mode: "ShareLock".into(), ms: 900 }];
    rehearsal.migration.slowest = Some(Statement { text: "create index".into(), ms: 900 });
    rehearsal.migration.rewritten = vec!["public.orders".into()];
    rehearsal.migration.invalid = vec!["public.orders_total".into()];
    rehearsal.migration.unvalidated = vec!["orders_total_check".into()];
    view.rehearsal = Some(rehearsal);
    view.window = Some(8_200);
    view.pending = fixtures::fenced().pending;
    view.failure = fixtures::failed().failure;
    if let Some(failure) = &mut view.failure {
        failure.cause = Cause { unit: Some(("tsh-erp.service".into(), "0f".repeat(16))), ..failure.cause.clone() };
    }
    view.felt = Some(Felt::default());
    view.steps[0].expected = Some(1_240);
    view.undone = vec!["the link points to release 41 again".into()];
    view.database = Some("unchanged (case 0)".into());
    view.gates = vec![answer(), Answer { reply: Reply::Pass, ..answer() }];
    view.only_aside = vec![leaving()];
    view.note = Some("more".into());
    view.runs = vec![RunView { unit: "tsh-erp.service".into(), invocation: "0f".repeat(16) }];
    let delivery = Delivery { problem: Some("no answer".into()), ..Delivery::new("hook".parse().unwrap(), ASKED) };
    view.notices = vec![NoticeView { moment: "deployed".into(), deliveries: vec![delivery] }];
    view
}

/// With everything, and with a schema that cannot be read.
fn statuses() -> Vec<StatusView> {
    let maintenance = fixtures::status_in_maintenance().maintenance;
    let mut full = StatusView { maintenance, running: Some(DeploymentId(43)), ..fixtures::status_pushed() };
    full.verified = Some(ReleaseId(41));
    full.held = fixtures::held();
    full.pinned = vec![Pin { release: ReleaseId(39), reason: "audit".into(), by: "olga".into(), at: ASKED }];
    full.pushes.iter_mut().for_each(|push| push.deployment = Some(DeploymentId(42)));
    vec![full, fixtures::status_closed()]
}

fn row() -> BackupRow {
    let manifest = manifest("20261121T031500Z");
    BackupRow {
        name: manifest.name.clone(),
        at: Some(ASKED),
        deployment: Some(DeploymentId(7)),
        quarantine: Some(DeploymentId(7)),
        running: manifest.running,
        bytes: 1,
        database_bytes: 1,
        tables: 2,
        rows: manifest.rows(),
        offsite: true,
        level: Some(Level::Matched),
        problem: Some("it cannot be decompressed".into()),
    }
}

fn backups() -> Vec<BackupView> {
    let mut full = manifest("20261121T031500Z");
    full.deployment = Some(DeploymentId(7));
    full.quarantine = Some(DeploymentId(7));
    full.revision = Some(sha("3f2c1a9d"));
    full.encrypted_to = vec!["age1…".into()];
    full.folders = vec!["uploads".into()];
    full.locale.icu = Some("en-US".into());
    full.locale.version = Some("2.36".into());
    let file = File { bytes: 1, sha256: "ab".repeat(32) };
    let files = Files {
        backup: full.name.clone(),
        manifest: "ab".repeat(32),
        folders: vec!["uploads".to_owned()],
        files: 1,
        bytes: 1,
        objects: 1,
        stored_bytes: 1,
        new_bytes: 1,
        restless: 0,
        left_out: 0,
        at: "2026-11-21T03:15:09Z".into(),
        took: 1,
        listing: file.clone(),
        index: file,
    };
    let proof = Proof {
        backup: full.name.clone(),
        manifest: "ab".repeat(32),
        files: Some("ab".repeat(32)),
        level: Level::Decodes,
        reached: vec![Reached { level: Level::Decodes, at: "2026-11-21T03:16:00Z".into(), took: 1 }],
        problem: Some("pg_restore does not read it".into()),
    };
    let folder = "/var/backups/tsh-agent/erp/20261121T031500Z".to_owned();
    let sent = Sent {
        backup: full.name.clone(),
        manifest: "ab".repeat(32),
        place: "s3://backups/erp".into(),
        bytes: 1,
        at: "2026-11-21T03:17:00Z".into(),
        took: 1,
    };
    let (manifest, files, sent, proof) = (Some(full), Some(files), Some(sent), Some(proof));
    vec![BackupView { row: row(), folder, manifest, files, sent, proof }]
}

fn restores() -> Vec<RestoreView> {
    let full = RestoreView {
        app: "erp".parse().unwrap(),
        backup: row(),
        database: "erp".into(),
        release: ReleaseId(41),
        schema: vec!["a1".parse().unwrap()],
        live_schema: Ok(vec!["a1".parse().unwrap()]),
        refused: Some(("a deployment runs".into(), "wait".into())),
        leaving: Ok(vec![leaving()]),
        free: Some(1),
        need: 1,
        keep_days: 30,
    };
    let unknown =
        RestoreView { live_schema: Err("no connection".into()), leaving: Err("no connection".into()), ..full.clone() };
    vec![full, unknown]
}

fn quarantine() -> QuarantineView {
    QuarantineView {
        database: "erp_quarantine_7".into(),
        deployment: DeploymentId(7),
        comment: Some("a comment".into()),
        bytes: 1,
        since: Some(1),
        until: Some(1),
        rows: Some(1),
        dump: "20261121T031500Z".parse().ok(),
    }
}

fn record() -> Record {
    Record {
        at: ASKED,
        app: "tsh-erp".parse().unwrap(),
        deployment: Some(DeploymentId(43)),
        by: "root".into(),
        who: Who { uid: Some(0), login: Some("olga".into()), from: Some("10.0.0.7".into()) },
        what: "lock".into(),
        detail: "stocktaking".into(),
    }
}

fn gates() -> GatesView {
    GatesView {
        app: "tsh-erp".parse().unwrap(),
        deployment: Some(DeploymentId(43)),
        revision: Some(sha("3f2c1a9d")),
        at: ASKED,
        answers: vec![answer(), Answer { reply: Reply::Refuse, ..answer() }],
    }
}

fn key() -> KeyView {
    KeyView {
        name: "ci".parse().unwrap(),
        app: "tsh-erp".parse().unwrap(),
        allow: vec![Allow::Read],
        created: 1,
        used: Some(1),
    }
}

fn plan() -> PlanView {
    let mut view = planned::full();
    view.gates = vec![answer(), Answer { reply: Reply::Pass, ..answer() }];
    view
}

fn diff() -> DiffView {
    let both = differs::view();
    DiffView { compared: plan().compared, to: both.from.clone(), ..both }
}

fn hook() -> Vec<(&'static str, String)> {
    let hook = Hook { forge: Forge::Gitea, repository: "acme/erp".into(), branch: "main".into(), secret: "x".into() };
    instructions(&"tsh-erp".parse().unwrap(), &hook)
}

fn measured() -> MetricsView {
    let mut view = metrics::tests::view();
    view.apps.iter_mut().filter_map(|app| app.last.as_mut()).for_each(|last| last.window = Some(8_200));
    view
}

/// Each view under the name that it has in the manual.
fn views() -> Vec<(&'static str, String)> {
    let app = "tsh-erp".parse().unwrap();
    let shown = in_force_of(&app, std::path::Path::new("/etc/x.toml"), EXAMPLE).unwrap();
    let explain = |name: &str| super::config::view(manual::find(name).unwrap(), Some(&shown));
    let doomed = Doomed { name: row().name, why: "old".into(), bytes: 1 };
    let history: Vec<HistoryRow> = fixtures::history();
    vec![
        ("status", shape(&statuses())),
        ("show", shape(&[deployment()])),
        ("history", shape(&[history])),
        ("where", shape(&[gates()])),
        ("plan", shape(&[plan()])),
        ("rollback --dry-run", shape(&fixtures::rollbacks())),
        ("diff", shape(&[diff()])),
        ("audit", shape(&[[record()]])),
        ("check", shape(&[[Finding::warning("unit", "it is slow").mend("sudo reboot")]])),
        ("backup list", shape(&[[row()]])),
        ("backup list --quarantines", shape(&[[quarantine()]])),
        ("backup show", shape(&backups())),
        ("backup prune --dry-run", shape(&[[doomed]])),
        ("backup restore --dry-run", shape(&restores())),
        ("config show", told(&[super::config::all(&app, &shown)])),
        ("config explain", told(&["max_window", "source.url", "gates.ci"].map(explain))),
        ("key list", shape(&[[key()]])),
        ("webhook show", told(&[super::webhook::fields(&hook())])),
        ("metrics", shape(&[measured()])),
    ]
}

#[test]
fn every_field_of_every_view_is_in_the_manual() {
    let page = include_str!("../../packaging/man/tsh-agent-json.7").replace("\\-", "-");
    let told: Vec<(&str, String)> = page
        .split("\n.SS ")
        .skip(1)
        .map(|section| {
            let (name, rest) = section.split_once('\n').unwrap();
            let fields = rest.split_once(".EX\n").unwrap().1.split_once(".EE").unwrap().0;
            let one_space = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n";
            (name, fields.lines().map(one_space).collect())
        })
        .collect();
    let views = views();
    // A field that is empty in all of them has a type that nobody has seen.
    let unseen = |(name, is): &(&str, String)| {
        is.lines().filter(|line| line.ends_with(" null")).map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
    };
    assert_eq!(views.iter().flat_map(unseen).collect::<Vec<_>>(), [""; 0]);
    let names = |list: &[(&str, String)]| list.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&told), names(&views));
    for ((name, told), (_, is)) in told.iter().zip(&views) {
        assert_eq!(told, is, "--json of {name} is not as tsh-agent-json(7) has it");
    }
}

/// The commands at or below this one that have `--json`, as they are typed.
fn with_json(command: &clap::Command, typed: &str, found: &mut BTreeSet<String>) {
    if command.get_arguments().any(|argument| argument.get_long() == Some("json")) {
        found.insert(typed.trim().to_owned());
    }
    for below in command.get_subcommands() {
        with_json(below, &format!("{typed} {}", below.get_name()), found);
    }
}

#[test]
fn every_command_that_prints_json_is_there() {
    let mut commands = BTreeSet::new();
    with_json(&super::Cli::command(), "", &mut commands);
    let views = views();
    let there: BTreeSet<String> =
        views.iter().filter_map(|(name, _)| name.split(" --").next()).map(str::to_owned).collect();
    assert_eq!(there, commands);
}
