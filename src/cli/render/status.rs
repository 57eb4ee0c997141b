//! One application now, on one screen: first whether all is well, then what is not.

use super::{Look, Tone, field, fields, text};
use crate::model::view::{HistoryRow, StatusView, UnitView};
use crate::when;

/// The screen.
#[must_use]
pub fn status(view: &StatusView, look: &Look) -> String {
    let problems = problems(view);
    let app = &view.app;
    let head = match (&view.release, &view.revision) {
        (None, _) => format!("{app} has no release yet"),
        (Some(release), None) => format!("{app} is at release {release}"),
        (Some(release), Some(revision)) => format!("{app} is at release {release} ({})", revision.short()),
    };
    let (tone, word) = match (problems.is_empty(), view.running) {
        (true, None) => (Tone::Good, "healthy"),
        (true, Some(_)) => (Tone::Odd, "being deployed"),
        (false, Some(_)) => (Tone::Odd, "being deployed, not all is up"),
        (false, None) => (Tone::Bad, "not healthy"),
    };
    let mut out = format!("{head}: {}\n", look.paint(tone, word));
    out += &fields("problem", &problems, look);
    if let Some(id) = view.running {
        out += &field("running", &format!("deployment {id}; `tsh-agent watch {id}` follows it"), look);
    }
    let room = view.units.iter().map(|unit| text::width(&unit.name)).max().unwrap_or(0);
    let units: Vec<_> = view.units.iter().map(|one| unit(one, room, look)).collect();
    for (at, line) in units.iter().enumerate() {
        let head = if at == 0 { "  units:" } else { "" };
        out +=
            &format!("{}{}\n", text::pad(head, super::FIELD), text::cut(line, look.width.saturating_sub(super::FIELD)));
    }
    match &view.schema {
        Some(Ok(revisions)) if revisions.is_empty() => out += &field("schema", "no revision yet", look),
        Some(Ok(revisions)) => out += &field("schema", &revisions.join(", "), look),
        Some(Err(_)) | None => {}
    }
    out += &fields("pushed", &pushes(view, look), look);
    out + &field("last", &view.last.as_ref().map(|row| last(row, look)).unwrap_or_default(), look)
}

/// What is not as it should be, most important first.
fn problems(view: &StatusView) -> Vec<String> {
    let mut out = Vec::new();
    if view.door_closed {
        out.push("the door is closed: nginx answers 503".to_owned());
    }
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
    if let Some(Err(why)) = &view.schema {
        out.push(format!("the schema cannot be read: {why}"));
    }
    if let Some(row) = view.last.as_ref().filter(|row| row.state == "needs-operator") {
        out.push(format!("deployment {} needs an operator; `tsh-agent show {}` says why", row.id, row.id));
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

/// To the minute; the day only where it is not today.
fn since(at: i64, look: &Look) -> String {
    let (at, now) = (when::minute(at, &look.zone), when::minute(look.now, &look.zone));
    match (at.split_once(' '), now.split_once(' ')) {
        (Some((day, time)), Some((today, _))) if day == today => time.to_owned(),
        _ => at,
    }
}

fn last(row: &HistoryRow, look: &Look) -> String {
    let what = super::kind(&row.kind);
    let at = when::minute(row.ended.unwrap_or(row.accepted), &look.zone);
    format!("{what} {}: {}, {at}, asked for by {}", row.id, row.state, row.by)
}
