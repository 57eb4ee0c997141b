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
