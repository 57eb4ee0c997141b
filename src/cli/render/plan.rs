//! What a deployment would do: what changes first, then how it goes, then how it is undone.

use super::text::{fit, pad, width};
use super::{FIELD, Look, Tone, field, fields, gates};
use crate::model::expect::Expected;
use crate::model::gates::Reply;
use crate::model::lane::seconds;
use crate::model::names::DeploymentId;
use crate::model::plan::{Change, Commits, Compared, Migration, Migrations, Packages, PlanView, Rehearsed};
use crate::when;

/// Lines of one list; of more, how many more.
const LINES: usize = 10;
/// An author's name takes at most so much.
const AUTHOR: usize = 18;

/// The screen.
#[must_use]
pub fn plan(view: &PlanView, look: &Look) -> String {
    let to = &view.compared.to;
    let mut out = format!("{}\n", fit(&head(view), look.width));
    // What is new begins with it.
    if view.compared.new.count == 0 {
        out += &list("commit", &[format!("{} ({})", to.subject, to.author)], 1, look);
    }
    out += &open(view.open, look);
    if view.is_nothing() {
        out += &field("now", "nothing to do: this commit runs, and was verified", look);
        return out + &answers(view, look);
    }
    if view.compared.from.is_none() && view.live.is_some() {
        out += &field("commits", "the repository does not have what runs, so nothing can be compared", look);
    }
    out += &compared(&view.compared, "what runs has these, and the commit does not:", look);
    out += &pending(view, look);
    out += &fields("rehearsal", &view.rehearsal.as_ref().map(|known| rehearsal(known, look)).unwrap_or_default(), look);
    let lane = view.lane.map_or("not known", |lane| lane.word());
    out += &field("lane", &format!("{lane}: {}", view.lane_note), look);
    out += &field("expected", &expected(view), look);
    out += &field("release", &kept(view), look);
    out += &fields("rollback", &view.rollback, look);
    out + &answers(view, look)
}

/// That a deployment is open, if one is.
#[must_use]
pub fn open(id: Option<DeploymentId>, look: &Look) -> String {
    let words =
        |id| format!("deployment {id} is open: one that is ordered now is refused, or takes its place if it waits");
    field("open", &id.map(words).unwrap_or_default(), look)
}

fn head(view: &PlanView) -> String {
    let (app, to) = (&view.app, view.compared.to.revision.short());
    // A commit that was named by itself need not be named twice.
    let named = match view.compared.to.revision.as_str().starts_with(view.wanted.as_str()) {
        true => to.to_owned(),
        false => format!("{} is {to}", view.wanted),
    };
    let Some(live) = &view.live else { return format!("{app}: {named}; nothing runs yet") };
    let runs = match &live.revision {
        Some(revision) => format!("release {} ({})", live.release, revision.short()),
        None => format!("release {}", live.release),
    };
    let unverified = if live.verified { "" } else { ", which was never verified" };
    format!("{app}: {named}; {runs} runs{unverified}")
}

/// Commits, packages and edited migrations that differ; `gone` stands above what only the first one has.
#[must_use]
pub fn compared(found: &Compared, gone: &str, look: &Look) -> String {
    let mut out = String::new();
    if found.from.is_some() && found.new.count + found.gone.count == 0 {
        out += &field("commits", "none: it is the same commit", look);
    }
    out += &list("new", &commits(&found.new, look), found.new.count, look);
    if found.gone.count > 0 {
        out += &field("goes", gone, look);
        out += &list("", &commits(&found.gone, look), found.gone.count, look);
    }
    out += &packages(&found.packages, found.from.is_some(), look);
    let edited: Vec<String> = found
        .migrations
        .edited
        .iter()
        .map(|one| format!("{} has another text now, which is refused if it has run", one.revision))
        .collect();
    out + &list("edited", &edited, edited.len(), look)
}

/// Lines as they are, each already short enough, the first few of them.
fn list(label: &str, lines: &[String], count: usize, look: &Look) -> String {
    let mut out = String::new();
    let told = lines.len().min(if count > LINES + 1 { LINES } else { LINES + 1 });
    for line in &lines[..told] {
        let head = if out.is_empty() && !label.is_empty() { format!("  {label}:") } else { String::new() };
        out += &format!("{}{}\n", pad(&head, FIELD), super::text::cut(line, look.width.saturating_sub(FIELD)));
    }
    if count > told {
        out += &format!("{}and {} more\n", " ".repeat(FIELD), count - told);
    }
    out
}

fn commits(all: &Commits, look: &Look) -> Vec<String> {
    let author = all.newest.iter().take(LINES).map(|commit| width(&commit.author).min(AUTHOR)).max().unwrap_or(0);
    let room = look.width.saturating_sub(FIELD + 8 + 1 + 2 + author).max(10);
    let line = |commit: &crate::model::plan::Commit| {
        let subject = pad(&fit(&commit.subject, room), room);
        format!("{} {subject}  {}", commit.revision.short(), fit(&commit.author, AUTHOR))
    };
    all.newest.iter().map(line).collect()
}

fn packages(found: &Packages, against: bool, look: &Look) -> String {
    let file = found.file.as_deref().unwrap_or("no lock file");
    let mut head = match (&found.unknown, found.changes.len()) {
        (Some(why), _) => format!("not known: {why}"),
        (None, _) if !against && found.file.is_none() => return String::new(),
        (None, _) if !against => format!("{file} says what is installed"),
        (None, 0) if found.touched => format!("no version differs, though {file} does"),
        (None, 0) => "no difference".to_owned(),
        (None, 1) => format!("1 differs in {file}"),
        (None, n) => format!("{n} differ in {file}"),
    };
    if let Some(before) = &found.before {
        head += &format!(" ({before} before)");
    }
    if found.loose > 0 && found.unknown.is_none() {
        head += &format!("; {} not pinned: the build takes what is newest then", are(found.loose));
    }
    let lines: Vec<String> = found.changes.iter().map(change).collect();
    field("packages", &head, look) + &list("", &lines, lines.len(), look)
}

fn are(count: usize) -> String {
    if count == 1 { "1 is".to_owned() } else { format!("{count} are") }
}

fn change(change: &Change) -> String {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => format!("  {} {old} → {new}", change.name),
        (None, Some(new)) => format!("+ {} {new}", change.name),
        (Some(old), None) => format!("- {} {old}", change.name),
        (None, None) => change.name.clone(),
    }
}

fn pending(view: &PlanView, look: &Look) -> String {
    let found = &view.compared.migrations;
    if !view.database {
        return String::new();
    }
    let at = if view.schema.is_empty() { "none" } else { &view.schema.join(", ") };
    let head = match (&found.unknown, found.pending.len()) {
        (Some(why), _) => format!("not known: {why}"),
        (None, 0) => format!("none is pending; the database is at {at}"),
        (None, n) => format!("{n} pending, by their files; the database is at {at}"),
    };
    let mut out = field("migrations", &head, look);
    out += &migrations("", &found.pending, look);
    // The tool alone knows which have run, but what is new in the commit is seen.
    if found.unknown.is_some() && !found.added.is_empty() {
        out += &list("", &["new in this commit:".to_owned()], 1, look);
        out += &migrations("", &found.added, look);
    }
    out + &trouble(found, look)
}

fn trouble(found: &Migrations, look: &Look) -> String {
    let words = found.trouble.as_ref().map(|why| format!("{why}; the inspection will refuse that"));
    field("trouble", &words.unwrap_or_default(), look)
}

/// A line for each, after a mark.
#[must_use]
pub fn migrations(mark: &str, all: &[Migration], look: &Look) -> String {
    let lines: Vec<String> = all
        .iter()
        .map(|one| match one.title.is_empty() {
            true => format!("{mark}{}  {}", one.revision, one.file),
            false => format!("{mark}{}  {}", one.revision, one.title),
        })
        .collect();
    list("", &lines, lines.len(), look)
}

fn rehearsal(known: &Rehearsed, look: &Look) -> Vec<String> {
    let (id, at) = (known.deployment, when::minute(known.at, &look.zone));
    let Some(lane) = known.lane else {
        let why = known.against.first().map(String::as_str).unwrap_or_default();
        return vec![format!("deployment {id} rehearsed exactly these at {at}, and it failed: {why}")];
    };
    let took = known.took.map(|ms| format!(", migrated in {}", seconds(ms))).unwrap_or_default();
    let window = known.window.map(|ms| format!(", {} closed", seconds(ms))).unwrap_or_default();
    let mut lines = vec![format!("deployment {id} rehearsed exactly these at {at}: {}{took}{window}", lane.word())];
    lines.extend(known.against.iter().map(|why| format!("not online: {why}")));
    lines
}

fn expected(view: &PlanView) -> String {
    let Expected { from, total, downtime, .. } = &view.expected;
    match (view.lane, total) {
        (None, _) => "not known before the lane is".to_owned(),
        (Some(_), None) => "not known: no deployment has taken this lane here yet".to_owned(),
        (Some(_), Some(total)) => {
            let down = match downtime {
                Some(0) => ", without a pause".to_owned(),
                Some(ms) => format!(", {} of it without service", when::lasted(*ms)),
                None => String::new(),
            };
            let from = if *from == 1 { "as the only one so far".to_owned() } else { format!("the median of {from}") };
            format!("{}{down} ({from})", when::lasted(*total))
        }
    }
}

fn kept(view: &PlanView) -> String {
    match view.kept.first() {
        None => "it is built: none of this commit is kept".to_owned(),
        Some(release) => format!(
            "it is built again, though release {release} is of this commit: `tsh-agent rollback --to {release}` \
             makes that one live"
        ),
    }
}

/// The gates that are in force, below one line that says what follows.
fn answers(view: &PlanView, look: &Look) -> String {
    let blocked = view.gates.iter().any(|answer| matches!(answer.reply, Reply::Wait { .. } | Reply::Refuse));
    let asked = view.gates.iter().any(|answer| answer.reply == Reply::Open);
    let (tone, words) = match (blocked, asked) {
        (true, _) => (Tone::Bad, "in the way of a deployment that is ordered now"),
        (false, true) => (Tone::Good, "nothing is in the way so far"),
        (false, false) => (Tone::Good, "nothing is in the way"),
    };
    let head = format!("{}{}\n", pad("  gates:", FIELD), look.paint(tone, words));
    head + &gates::answers(&view.gates, look)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
pub(crate) mod tests;
