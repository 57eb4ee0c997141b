//! One application now, on one screen: first whether all is well, then what is not.

use super::{Look, Tone, field, fields, text};
use crate::model::gates::{Hold, HoldKind};
use crate::model::pin::Pin;
use crate::model::view::{BackupsNow, HistoryRow, MaintenanceNow, StatusView, TimerNow, UnitView};
use crate::when;

/// A backup that is older than this, in milliseconds, is worth a word: the timer takes one each day.
const OLD: i64 = 36 * 3_600_000;

/// The screen.
#[must_use]
pub fn status(view: &StatusView, look: &Look) -> String {
    let problems = problems(view, look);
    let (tone, word) = verdict(view, &problems);
    let mut out = format!("{}: {}\n", head(view), look.paint(tone, word));
    out += &fields("problem", &problems, look);
    if !problems.is_empty() && view.running.is_none() {
        out += &field("hint", "`sudo tsh-agent check` names what is wrong, and what mends it", look);
    }
    out +=
        &field("closed", &view.maintenance.as_ref().and_then(|now| maintenance(now, look)).unwrap_or_default(), look);
    if let Some(id) = view.running {
        out += &field("running", &format!("deployment {id}; `tsh-agent watch {id}` follows it"), look);
    }
    out += &fields("held", &view.held.iter().map(|hold| held(hold, look)).collect::<Vec<_>>(), look);
    out += &field("subject", &text::fit(view.subject.as_deref().unwrap_or_default(), look.width - super::FIELD), look);
    if let Some(at) = view.live_since.filter(|_| view.verified.is_none()) {
        let since = format!("{} ({})", when::minute(at, &look.zone), when::lasted(look.now - at));
        out += &field("live since", &since, look);
    }
    let answers = view.answers.iter().filter(|answer| answer.problem.is_none());
    let as_what = view.revision.as_ref().map(|sha| format!(", as {}", sha.short())).unwrap_or_default();
    out += &fields("answers", &answers.map(|answer| format!("{}{as_what}", answer.what)).collect::<Vec<_>>(), look);
    out += &units(view, look);
    match &view.schema {
        Some(Ok(revisions)) if revisions.is_empty() => out += &field("schema", "no revision yet", look),
        Some(Ok(revisions)) => out += &field("schema", &revisions.join(", "), look),
        Some(Err(_)) | None => {}
    }
    out += &fields("pushed", &pushes(view, look), look);
    out += &fields("pinned", &view.pinned.iter().map(|pin| pinned(pin, look)).collect::<Vec<_>>(), look);
    out += &field("backups", &view.backups.as_ref().map(|now| backups(now, look)).unwrap_or_default(), look);
    out += &fields("next", &view.timers.iter().map(|one| timer(one, look)).collect::<Vec<_>>(), look);
    out + &field("last", &view.last.as_ref().map(|row| last(row, look)).unwrap_or_default(), look)
}

/// The same in one line, for a prompt or the message of the day.
#[must_use]
pub fn oneline(view: &StatusView, look: &Look) -> String {
    let problems = problems(view, look);
    let (tone, word) = verdict(view, &problems);
    let closed = view.maintenance.as_ref().and_then(|now| now.since).map(|at| since(at, look));
    let since = closed.or_else(|| view.live_since.map(|at| when::minute(at, &look.zone)));
    let since = since.map(|at| format!(" since {at}")).unwrap_or_default();
    let first = problems.first().map(|problem| format!("; {problem}")).unwrap_or_default();
    let room = look.width.saturating_sub(text::width(&head(view)) + text::width(word) + 2);
    let rest = if problems.is_empty() { since } else { first };
    format!("{}: {}{}\n", head(view), look.paint(tone, word), text::cut(&rest, room))
}

fn head(view: &StatusView) -> String {
    let app = &view.app;
    match (&view.release, &view.revision) {
        (None, _) => format!("{app} has no release yet"),
        (Some(release), None) => format!("{app} is at release {release}"),
        (Some(release), Some(revision)) => format!("{app} is at release {release} ({})", revision.short()),
    }
}

fn verdict(view: &StatusView, problems: &[String]) -> (Tone, &'static str) {
    match (problems.is_empty(), view.running) {
        (true, None) if view.maintenance.is_some() => (Tone::Odd, "closed for maintenance"),
        (true, None) => (Tone::Good, "healthy"),
        (true, Some(_)) => (Tone::Odd, "being deployed"),
        (false, Some(_)) => (Tone::Odd, "being deployed, not all is up"),
        (false, None) => (Tone::Bad, "not healthy"),
    }
}

/// Who keeps people out, and how that ends.
fn maintenance(now: &MaintenanceNow, look: &Look) -> Option<String> {
    let by = now.by.as_ref().filter(|_| now.closed)?;
    let at = now.since.map(|at| format!(" since {}", since(at, look))).unwrap_or_default();
    let reason = if now.reason.is_empty() { String::new() } else { format!(": {}", now.reason) };
    Some(format!("for maintenance{at} by {by}{reason}; `tsh-agent maintenance off` lets people in"))
}

/// What was ordered is not what nginx finds.
fn untrue(now: &MaintenanceNow) -> Option<String> {
    match (&now.by, now.closed) {
        (Some(_), true) => None,
        (Some(by), false) => {
            Some(format!("{by} ordered maintenance, and nobody is kept out; `tsh-agent maintenance on` closes again"))
        }
        (None, _) => Some("nginx answers 503 because of a file put there by hand; `tsh-agent check`".to_owned()),
    }
}

/// What is not as it should be, most important first.
fn problems(view: &StatusView, look: &Look) -> Vec<String> {
    let mut out = Vec::new();
    if view.door_closed {
        out.push("the door is closed: nginx answers 503".to_owned());
    }
    out.extend(view.maintenance.as_ref().and_then(untrue));
    out.extend(view.answers.iter().filter_map(|answer| answer.problem.clone()));
    if let (Some(release), Some(verified)) = (view.release, view.verified) {
        out.push(format!("release {release} was never verified; the last one that was is {verified}"));
    }
    for unit in &view.units {
        if unit.state != "active" {
            out.push(format!("{} is {}", unit.name, unit.state));
        } else if unit.from_release == Some(false) {
            out.push(format!("{} does not run from this release", unit.name));
        }
    }
    match &view.schema {
        Some(Err(why)) => out.push(format!("the schema cannot be read: {why}")),
        Some(Ok(now)) if view.running.is_none() && !view.wanted_schema.is_empty() && *now != view.wanted_schema => {
            let (now, wanted) = (now.join(", "), view.wanted_schema.join(", "));
            out.push(format!("the database is at {now}, and the release was verified on {wanted}"));
        }
        _ => {}
    }
    out.extend(view.drift.iter().cloned());
    if let Some(row) = view.last.as_ref().filter(|row| row.state == "needs-operator") {
        out.push(format!("deployment {} needs an operator; `tsh-agent show {}` says why", row.id, row.id));
    }
    match view.backups.as_ref().map(|now| now.newest) {
        Some(None) => out.push("there is no backup; `tsh-agent backup now` takes one".to_owned()),
        Some(Some(at)) if look.now - at > OLD => {
            out.push(format!("the newest backup is {} old; `tsh-agent backup now`", when::lasted(look.now - at)));
        }
        _ => {}
    }
    out
}

fn units(view: &StatusView, look: &Look) -> String {
    let room = view.units.iter().map(|unit| text::width(&unit.name)).max().unwrap_or(0);
    let mut lines: Vec<_> = view.units.iter().map(|one| unit(one, room, look)).collect();
    let workers: Vec<_> = view.units.iter().filter(|unit| unit.role == "worker").collect();
    if workers.len() > 1 {
        let up = workers.iter().filter(|unit| unit.state == "active").count();
        lines.push(format!("{up} of {} workers are up", workers.len()));
    }
    let mut out = String::new();
    for (at, line) in lines.iter().enumerate() {
        let head = if at == 0 { "  units:" } else { "" };
        let line = text::cut(line, look.width.saturating_sub(super::FIELD));
        out += &format!("{}{line}\n", text::pad(head, super::FIELD));
    }
    out
}

/// What waits; of many the newest, which is the one that counts.
fn pushes(view: &StatusView, look: &Look) -> Vec<String> {
    let Some(newest) = view.pushes.last() else { return Vec::new() };
    let revision = newest.revision.as_ref().map(|sha| format!(" {}", sha.short())).unwrap_or_default();
    let more = match view.pushes.len() - 1 {
        0 => String::new(),
        older => format!(", and {older} before it"),
    };
    let mut lines = vec![format!("by {}{revision}, {}{more}", newest.by, since(newest.at, look))];
    if !newest.note.is_empty() {
        lines.push(format!("waits: {}", newest.note));
    }
    lines
}

fn unit(unit: &UnitView, room: usize, look: &Look) -> String {
    let since = unit.since.map(|at| format!(" since {}", since(at, look))).unwrap_or_default();
    let restarts = match unit.restarts {
        0 => String::new(),
        1 => ", 1 restart".to_owned(),
        n => format!(", {n} restarts"),
    };
    format!("{}  {}{since}{restarts}", text::pad(&unit.name, room), unit.state)
}

fn pinned(pin: &Pin, look: &Look) -> String {
    let why = if pin.reason.is_empty() { String::new() } else { format!(": {}", pin.reason) };
    format!("release {}, by {} since {}{why}", pin.release, pin.by, since(pin.at, look))
}

fn backups(now: &BackupsNow, look: &Look) -> String {
    let age = |at: i64| format!("{} ago", when::lasted(look.now - at));
    let Some(newest) = now.newest else { return "none".to_owned() };
    let proven = match now.proven {
        Some(at) if at == newest => "and proven".to_owned(),
        Some(at) => format!("the newest proven {}", age(at)),
        None => "none is proven".to_owned(),
    };
    format!("{}, the newest {}, {proven}", now.count, age(newest))
}

fn timer(timer: &TimerNow, look: &Look) -> String {
    let at = timer.next.map_or_else(|| "not scheduled".to_owned(), |at| when::minute(at, &look.zone));
    format!("{} {at}", timer.name)
}

/// To the minute; the day only where it is not today.
fn since(at: i64, look: &Look) -> String {
    let (at, now) = (when::minute(at, &look.zone), when::minute(look.now, &look.zone));
    match (at.split_once(' '), now.split_once(' ')) {
        (Some((day, time)), Some((today, _))) if day == today => time.to_owned(),
        _ => at,
    }
}

/// What holds deployments back, and how that ends.
fn held(hold: &Hold, look: &Look) -> String {
    let Hold { kind, until, reason, by, at } = hold;
    match kind {
        HoldKind::Freeze => {
            let until = until.map(|until| format!(" until {}", when::minute(until, &look.zone))).unwrap_or_default();
            format!("frozen by {by}{until}: {reason}; `tsh-agent unfreeze`")
        }
        HoldKind::Pause => format!("what comes by itself is paused: {reason}; `tsh-agent resume`"),
        HoldKind::Lock | HoldKind::Maintenance => {
            format!("locked by {by} since {}: {reason}; `tsh-agent unlock`", since(*at, look))
        }
    }
}

fn last(row: &HistoryRow, look: &Look) -> String {
    let what = super::kind(&row.kind);
    let at = when::minute(row.ended.unwrap_or(row.accepted), &look.zone);
    // Nobody says of a restore that it was deployed.
    let how = if row.state == "deployed" && row.kind != "deploy" { "done" } else { row.state.as_str() };
    format!("{what} {}: {how}, {at}, asked for by {}", row.id, row.by)
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
