//! A core that plays a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tsh_agent::api::{Caller, Core, Kind, Refusal};
use tsh_agent::model::audit::Entry;
use tsh_agent::model::backup::{BackupRow, BackupView, Doomed};
use tsh_agent::model::care::{CareView, Kind as Care};
use tsh_agent::model::finding::Finding;
use tsh_agent::model::gates::{HoldKind, Override};
use tsh_agent::model::going_back::RollbackView;
use tsh_agent::model::key::{Allow, Answer, Asked, KeyView};
use tsh_agent::model::metrics::MetricsView;
use tsh_agent::model::names::{App, BackupName, DeploymentId, KeyName, ReleaseId, Sha, Wanted};
use tsh_agent::model::plan::{DiffView, PlanView};
use tsh_agent::model::push::Hint;
use tsh_agent::model::quarantine::QuarantineView;
use tsh_agent::model::restore::RestoreView;
use tsh_agent::model::step::Step;
use tsh_agent::model::view::{DeploymentView, GatesView, HistoryRow, StatusView};

pub use crate::own::{Bus, Said};
pub use crate::views::{row, view};

/// A core that answers `Show` with one view after the other; the last one stays.
#[derive(Default)]
pub struct Script {
    pub apps: Vec<&'static str>,
    pub views: Mutex<VecDeque<DeploymentView>>,
    pub output: &'static str,
    /// How often it was asked how far a backup is.
    pub looks: Mutex<u32>,
    /// What it was asked to do.
    pub asked: Mutex<Vec<String>>,
}

impl Script {
    pub fn of(views: impl IntoIterator<Item = Value>) -> Arc<Self> {
        let views = views.into_iter().map(|view| serde_json::from_value(view).unwrap()).collect();
        Arc::new(Self { apps: vec!["tsh-erp"], views: Mutex::new(views), ..Self::default() })
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

fn id() -> DeploymentId {
    DeploymentId(42)
}

fn answer(ended: bool) -> Answer {
    Answer {
        request: Some(7),
        deployment: Some(id()),
        state: if ended { "rolled-back" } else { "running" }.to_owned(),
        ended,
        exit: ended.then_some(3),
        revision: None,
        note: String::new(),
        url: "/v1/requests/7".to_owned(),
    }
}

fn by(caller: &Caller) -> String {
    // Whoever runs the tests is who the bus must name.
    let me = nix::unistd::geteuid().as_raw();
    if caller.uid == me && !caller.name.is_empty() { "me".to_owned() } else { format!("{caller:?}") }
}

impl Core for Script {
    async fn deploy(
        &self,
        caller: Caller,
        app: App,
        wanted: Option<Wanted>,
        force: bool,
        overrides: Vec<Override>,
    ) -> Result<DeploymentId, Refusal> {
        let wanted = wanted.map_or_else(|| "-".to_owned(), String::from);
        let refused = Kind::ALL.into_iter().find(|kind| wanted == format!("refuse/{kind:?}"));
        if let Some(kind) = refused {
            return Err(Refusal::new(kind, format!("{kind:?} it is")).hint("look elsewhere"));
        }
        self.note(format!("{}: deploy {app} {wanted} {force}", by(&caller)));
        for Override { gate, reason } in overrides {
            self.note(format!("override {} {reason}", gate.word()));
        }
        Ok(id())
    }

    async fn request(&self, key: String, app: App, revision: Sha) -> Result<Answer, Refusal> {
        if key != "tsh_good" {
            return Err(Refusal::new(Kind::Denied, "the key is not known, or not for this"));
        }
        self.note(format!("request {app} {}", revision.short()));
        Ok(answer(false))
    }

    async fn answer(&self, key: String, what: Asked, wait: Duration) -> Result<Answer, Refusal> {
        if key != "tsh_good" {
            return Err(Refusal::new(Kind::Denied, "the key is not known, or not for this"));
        }
        self.note(format!("answer {what:?}"));
        // As the real one does, it answers when there is something to tell.
        tokio::time::sleep(wait.min(Duration::from_millis(200))).await;
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        Ok(answer(*looks > 2))
    }

    async fn add_key(&self, caller: Caller, name: KeyName, app: App, allow: Vec<Allow>) -> Result<String, Refusal> {
        self.note(format!("{}: key {name} {app} {allow:?}", by(&caller)));
        Ok("tsh_good".to_owned())
    }

    async fn keys(&self) -> Result<Vec<KeyView>, Refusal> {
        Ok(Vec::new())
    }

    async fn remove_key(&self, caller: Caller, name: KeyName) -> Result<(), Refusal> {
        self.note(format!("{}: no key {name}", by(&caller)));
        Ok(())
    }

    async fn push(&self, caller: Caller, app: App, hint: Hint) -> Result<u32, Refusal> {
        self.note(format!("{}: push {app} {hint:?}", by(&caller)));
        Ok(7)
    }

    async fn rollback(&self, caller: Caller, app: App, to: Option<DeploymentId>) -> Result<DeploymentId, Refusal> {
        self.note(format!("{}: rollback {app} {to:?}", by(&caller)));
        Ok(id())
    }

    async fn rollback_plan(&self, app: App, to: Option<DeploymentId>) -> Result<RollbackView, Refusal> {
        let refused = (self.output == "refused").then(|| json!(["the schema is ahead", "mend forward"]));
        let view = json!({
            "app": app, "live": null, "release": to.map_or(41, |id| id.0), "revision": "91".repeat(20),
            "schema": {"Ok": ["a1"]}, "case": 0, "database": "untouched (case 0)", "because": "it is where it should be",
            "lost": "nothing", "refused": refused, "open": null,
        });
        Ok(serde_json::from_value(view).unwrap())
    }

    async fn abort(&self, caller: Caller, id: DeploymentId) -> Result<(), Refusal> {
        self.note(format!("{}: abort {id}", by(&caller)));
        Ok(())
    }

    async fn adopt(&self, _: Caller, app: App, revision: Sha, subject: String) -> Result<ReleaseId, Refusal> {
        self.note(format!("adopt {app} {revision} {subject}"));
        Ok(ReleaseId(7))
    }

    async fn hold(
        &self,
        caller: Caller,
        app: App,
        kind: HoldKind,
        until: Option<i64>,
        reason: String,
    ) -> Result<(), Refusal> {
        self.note(format!("{}: {} {app} {until:?} {reason}", by(&caller), kind.word()));
        Ok(())
    }

    async fn lift(&self, caller: Caller, app: App, kind: HoldKind) -> Result<(), Refusal> {
        self.note(format!("{}: lift {} {app}", by(&caller), kind.word()));
        Ok(())
    }

    async fn forgive(&self, caller: Caller, app: App, revision: String) -> Result<Sha, Refusal> {
        self.note(format!("{}: forgive {app} {revision}", by(&caller)));
        Ok("3f".repeat(20).parse().unwrap())
    }

    async fn decide(
        &self,
        caller: Caller,
        id: DeploymentId,
        approved: bool,
        reason: String,
    ) -> Result<String, Refusal> {
        self.note(format!("{}: decide {id} {approved} {reason}", by(&caller)));
        Ok("c0ffee00c0ffee00".to_owned())
    }

    async fn audit(&self, _: Option<App>, limit: u32) -> Result<Vec<Entry>, Refusal> {
        let record =
            json!({"at": 0, "app": "tsh-erp", "by": "olga", "what": "lock", "detail": "stocktaking"}).to_string();
        let entry = |seq: i64| Entry { seq, record: record.clone(), hash: "0".repeat(64) };
        Ok((1..=i64::from(limit.min(2))).map(entry).collect())
    }

    async fn gates(&self, app: App) -> Result<GatesView, Refusal> {
        let reply = if self.output.is_empty() { json!("pass") } else { json!({"wait": {"until": null}}) };
        let answer = json!({"gate": "lock", "reply": reply, "reason": "as told", "lift": null, "since": null});
        let view = json!({"app": app, "deployment": null, "revision": null, "at": 0, "answers": [answer]});
        Ok(serde_json::from_value(view).unwrap())
    }

    async fn plan(&self, app: App, wanted: Option<Wanted>) -> Result<PlanView, Refusal> {
        self.note(format!("plan {app} {wanted:?}"));
        Ok(serde_json::from_value(crate::views::plan()).unwrap())
    }

    async fn diff(&self, app: App, from: Wanted, to: Wanted) -> Result<DiffView, Refusal> {
        self.note(format!("diff {app} {from} {to}"));
        let side =
            |wanted: Wanted, digits: &str| json!({"wanted": wanted, "deployment": null, "revision": digits.repeat(20)});
        let (from, to) = (side(from, "91"), side(to, "3f"));
        let compared = crate::views::plan()["compared"].clone();
        let view = json!({"app": app, "from": from, "to": to, "compared": compared, "database": true});
        Ok(serde_json::from_value(view).unwrap())
    }

    async fn pin(&self, caller: Caller, app: App, release: ReleaseId, reason: String) -> Result<(), Refusal> {
        self.note(format!("{}: pin {app} {release} {reason}", by(&caller)));
        Ok(())
    }

    async fn unpin(&self, caller: Caller, app: App, release: ReleaseId) -> Result<(), Refusal> {
        self.note(format!("{}: unpin {app} {release}", by(&caller)));
        Ok(())
    }

    async fn show(&self, wanted: DeploymentId) -> Result<DeploymentView, Refusal> {
        if wanted != id() {
            return Err(Refusal::no_deployment(wanted));
        }
        let mut views = self.views.lock().unwrap();
        let next = if views.len() > 1 { views.pop_front() } else { views.front().cloned() };
        next.ok_or_else(|| Refusal::internal("the script has no view"))
    }

    async fn history(&self, app: Option<App>, limit: u32) -> Result<Vec<HistoryRow>, Refusal> {
        self.note(format!("history {app:?} {limit}"));
        Ok(serde_json::from_value(json!([row("running")])).unwrap())
    }

    async fn metrics(&self) -> Result<MetricsView, Refusal> {
        Ok(MetricsView { version: "0.1.0".into(), apps: Vec::new() })
    }

    async fn status(&self, app: App) -> Result<StatusView, Refusal> {
        if app.as_str() != "tsh-erp" {
            return Err(Refusal::unknown_app(&app, &self.apps().await));
        }
        let view = json!({
            "app": app, "release": 42, "revision": "3f".repeat(20), "verified": null, "units": [], "door_closed": false,
            "schema": {"Ok": ["a\u{1b}[31mb"]}, "running": null, "last": row("deployed"),
        });
        Ok(serde_json::from_value(view).unwrap())
    }

    async fn check(&self, _: App) -> Result<Vec<Finding>, Refusal> {
        Ok(vec![Finding::ok("release", "as played")])
    }

    async fn apps(&self) -> Vec<App> {
        self.apps.iter().map(|name| name.parse().unwrap()).collect()
    }

    async fn output(&self, _: DeploymentId, step: Step, offset: u64) -> Result<(Vec<u8>, u64), Refusal> {
        let all = if step == Step::Build { self.output.as_bytes() } else { b"" };
        let from = usize::try_from(offset).unwrap().min(all.len());
        // Small pieces, so that lines are cut.
        let piece = &all[from..all.len().min(from + 7)];
        Ok((piece.to_vec(), offset + piece.len() as u64))
    }

    async fn care(&self, caller: Caller, app: App, kind: Care, backup: Option<BackupName>) -> Result<u32, Refusal> {
        self.note(format!("{}: {kind:?} {app} {backup:?}", by(&caller)));
        Ok(7)
    }

    async fn care_of(&self, id: u32) -> Result<CareView, Refusal> {
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        let part = |part: &str, state: &str, detail: &str| {
            json!({"part": part, "state": state, "began": 1_795_266_161_000_i64, "took": 400, "detail": detail,
                   "before": "", "cause": null})
        };
        let (state, last) = match (*looks, self.output) {
            (..3, _) => ("running", part("prove", "running", "decodes")),
            (_, "") => ("done", part("prove", "done", "2 tables")),
            (_, why) => ("failed", part("prove", "failed", why)),
        };
        let view = json!({
            "id": id, "app": "tsh-erp", "asked": 1_795_266_161_000_i64, "state": state,
            "care": {"kind": "backup", "by": "alice", "boot": "b", "backup": "20261121T031500Z",
                     "parts": [part("backup", "done", "214 MB"), last]},
        });
        Ok(serde_json::from_value(view).unwrap())
    }

    async fn backups(&self, _: App) -> Result<Vec<BackupRow>, Refusal> {
        Ok(Vec::new())
    }

    async fn backup(&self, _: App, _: BackupName) -> Result<BackupView, Refusal> {
        Err(Refusal::internal("the script has no backup"))
    }

    async fn quarantines(&self, _: App) -> Result<Vec<QuarantineView>, Refusal> {
        Ok(Vec::new())
    }

    async fn restore_plan(&self, _: App, name: BackupName, release: Option<ReleaseId>) -> Result<RestoreView, Refusal> {
        let refused = (self.output == "refused").then(|| json!(["release 42 does not fit", "add --release 41"]));
        let view = json!({
            "app": "tsh-erp", "database": "tsh_erp", "release": release.map_or(42, |id| id.0), "schema": ["a1"],
            "live_schema": {"Ok": ["a1"]}, "refused": refused, "free": 90_000_000_000_i64, "need": 2_000_000_000,
            "keep_days": 7,
            "backup": {"name": name, "at": 1_795_266_161_000_i64, "deployment": null, "running": 41, "bytes": 10,
                       "database_bytes": 20, "tables": 1, "rows": 10, "level": "matched", "problem": null},
            "leaving": {"Ok": [{"schema": "public", "name": "orders", "rows": 12, "since": 3, "other": 10,
                                "counted": true}]},
        });
        Ok(serde_json::from_value(view).unwrap())
    }

    async fn restore(
        &self,
        caller: Caller,
        app: App,
        name: BackupName,
        typed: &str,
        release: Option<ReleaseId>,
    ) -> Result<DeploymentId, Refusal> {
        self.note(format!("{}: restore {app} {name} {typed} {release:?}", by(&caller)));
        Ok(id())
    }

    async fn doomed(&self, _: App) -> Result<Vec<Doomed>, Refusal> {
        Ok(Vec::new())
    }
}

/// Waits for something that must come true soon.
pub async fn until(what: impl Fn() -> bool) {
    for _ in 0..400 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it did not come true");
}
