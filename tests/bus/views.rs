//! What the scripted core shows.

use serde_json::{Value, json};

/// A line of the history.
pub fn row(state: &str) -> Value {
    json!({
        "id": 42, "app": "tsh-erp", "kind": "deploy", "state": state, "revision": "3f".repeat(20), "subject": "Print",
        "release": 42, "by": "alice", "accepted": 1_795_266_161_000_i64, "ended": null,
    })
}

/// A deployment with these steps, running or ended.
pub fn view(verdict: Option<&str>, steps: &[(&str, &str)]) -> Value {
    let steps: Vec<_> = steps
        .iter()
        .map(|(step, state)| {
            let took = (*state != "running").then_some(400);
            json!({"step": step, "state": state, "began": 1_795_266_161_000_i64, "took": took, "detail": "as told"})
        })
        .collect();
    json!({
        "id": 42, "app": "tsh-erp", "state": verdict.unwrap_or("running"), "verdict": verdict, "kind": "deploy",
        "wanted": "main", "revision": "3f".repeat(20), "subject": "Print", "release": 42, "from": 41,
        "from_revision": "91".repeat(20), "lane": "code", "pending": [], "by": "alice",
        "accepted": 1_795_266_161_000_i64, "ended": verdict.map(|_| 1_795_266_173_000_i64), "steps": steps,
        "failure": null, "serving": "release 41 serves", "undone": [], "database": null, "note": null, "runs": [],
    })
}

/// What a deployment would do: one commit, code only.
pub fn plan() -> Value {
    let commit = json!({"revision": "3f".repeat(20), "subject": "Print\u{1b}[31m", "author": "Dana", "at": 0});
    let none = json!({"count": 0, "newest": []});
    let mut old = commit.clone();
    old["revision"] = "91".repeat(20).into();
    json!({
        "app": "tsh-erp", "wanted": "main", "live": {"release": 41, "revision": "91".repeat(20), "verified": true},
        "compared": {
            "to": commit, "from": old, "new": {"count": 1, "newest": [commit]}, "gone": none,
            "packages": {"file": null, "before": null, "touched": false, "changes": [], "loose": 0, "unknown": null},
            "migrations": {"pending": [], "unknown": null, "trouble": null, "added": [], "removed": [], "edited": []},
        },
        "database": false, "schema": [], "lane": "code", "lane_note": "no migration is pending", "rehearsal": null,
        "expected": {"from": 0, "steps": {}, "total": null, "downtime": null}, "gates": [], "kept": [], "open": null,
        "rollback": ["if it fails: back to release 41"],
    })
}
