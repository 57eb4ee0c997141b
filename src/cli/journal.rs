//! The system's journal, read with the rights of whoever asks.

use std::process::{Command, Stdio};

use crate::api::plain;
use crate::model::view::DeploymentView;

/// Enough to see a traceback's end.
const LINES: &str = "12";

/// The terms under which a run's lines are found: its own carry its id in one field, what systemd says about the run in
/// another.
pub fn terms(invocation: &str) -> [String; 3] {
    [format!("_SYSTEMD_INVOCATION_ID={invocation}"), "+".to_owned(), format!("INVOCATION_ID={invocation}")]
}

/// Adds the last lines of the unit that failed, where the core could not: it may not read the journal.
pub fn complete(view: &mut DeploymentView) {
    let Some(cause) = view.failure.as_mut().map(|failure| &mut failure.cause) else { return };
    let Some((unit, invocation)) = cause.unit.as_ref().filter(|(_, invocation)| !invocation.is_empty()) else { return };
    // What a step says stands in its cause already.
    if !cause.tail.is_empty() || unit.starts_with("tsh-agent-") {
        return;
    }
    let lines = Command::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=cat", "--lines", LINES])
        .args(terms(invocation))
        .stdin(Stdio::null())
        .output();
    // What was said is an extra: without it the failure is shown all the same.
    let text = lines.map(|output| output.stdout).unwrap_or_default();
    cause.tail = plain(&String::from_utf8_lossy(&text)).lines().map(str::to_owned).collect();
    if cause.tail.is_empty() && cause.hint.is_none() {
        let [own, or, about] = terms(invocation);
        cause.hint = Some(format!("you may not read what it said; root may: `journalctl {own} {or} {about}`"));
    }
}
