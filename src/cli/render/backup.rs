//! Backups on the screen.

use super::text::{fit, pad, width};
use super::{Look, Tone, field, fields};
use crate::model::backup::{BackupRow, BackupView, Doomed, Level, Manifest, Proof, Table};
use crate::model::care::{CareView, Part, Progress};
use crate::model::files::Files;
use crate::model::size::size;
use crate::when;

/// Largest tables that are shown.
const TABLES: usize = 5;

/// The table of backups.
#[must_use]
pub fn list(rows: &[BackupRow], look: &Look) -> String {
    if rows.is_empty() {
        return "no backups yet; `tsh-agent backup now` takes one\n".to_owned();
    }
    let name = rows.iter().map(|row| width(row.name.as_str())).max().unwrap_or(0).max(4);
    let mut out = head(&[pad("NAME", name), pad("TAKEN", 16), pad("SIZE", 8), pad("OF", 8), "LEVEL".into()], look);
    for row in rows {
        let taken = row.at.map_or_else(|| "?".to_owned(), |at| when::minute(at, &look.zone));
        let (tone, word) = level(row);
        let cells = [
            pad(row.name.as_str(), name),
            pad(&taken, 16),
            pad(&size(row.bytes), 8),
            pad(&size(row.database_bytes), 8),
        ];
        let of = row.quarantine.map(|id| format!(" (quarantine {id})")).unwrap_or_default();
        // Off-site; there is little room.
        let away = if row.offsite { "  sent" } else { "" };
        out += &format!("{}  {}{of}{away}\n", cells.join("  "), look.paint(tone, &word));
    }
    if let Some(problem) = rows.iter().find(|row| row.problem.is_some()) {
        out += &format!("`tsh-agent backup show {}` says what is wrong\n", problem.name);
    }
    if !rows.iter().any(BackupRow::is_proven) {
        out += "none is proven; `tsh-agent backup verify` proves the newest\n";
    }
    out
}

fn head(cells: &[String], look: &Look) -> String {
    format!("{}\n", look.paint(Tone::Faint, &cells.join("  ")))
}

/// What is proven, in a word that cannot be mistaken.
pub(super) fn level(row: &BackupRow) -> (Tone, String) {
    match row.level {
        None => (Tone::Bad, "NO BACKUP".to_owned()),
        Some(_) if row.problem.is_some() => (Tone::Bad, "NOT GOOD".to_owned()),
        Some(level) if level.is_proven() => (Tone::Good, "proven".to_owned()),
        Some(level) => (Tone::Odd, level.word().to_owned()),
    }
}

/// Everything about one.
#[must_use]
pub fn show(view: &BackupView, look: &Look) -> String {
    let (tone, word) = level(&view.row);
    let mut out = format!("backup {}: {}\n", view.row.name, look.paint(tone, &word));
    out += &field("problem", view.row.problem.as_deref().unwrap_or_default(), look);
    out += &field("folder", &view.folder, look);
    let Some(manifest) = &view.manifest else { return out };
    out += &about(manifest, view, look);
    out += &fields("levels", &levels(manifest, view.proof.as_ref(), look), look);
    out + &fields("tables", &tables(&manifest.tables), look)
}

fn about(manifest: &Manifest, view: &BackupView, look: &Look) -> String {
    let number = |what: &str, id: Option<u32>| id.map(|id| format!("{what} {id}")).unwrap_or_default();
    let mut out = field("database", &format!("{}, {} on disk", manifest.database, size(manifest.database_bytes)), look);
    out += &field("dump", &format!("{}, taken in {}", size(manifest.dump.bytes), took(manifest.took)), look);
    let revision = manifest.revision.as_ref().map(|revision| format!(" ({})", revision.short())).unwrap_or_default();
    let release = number("release", manifest.running.map(|id| id.0));
    out += &field("files", &files(view.files.as_ref()), look);
    out += &field("off-site", view.sent.as_ref().map_or("", |sent| &sent.place), look);
    out += &field("encrypted", &manifest.encrypted_to.join(", "), look);
    out += &field("running", &format!("{release}{}", if release.is_empty() { "" } else { &revision }), look);
    out += &field("made by", &number("deployment", manifest.deployment.map(|id| id.0)), look);
    let schema: Vec<&str> = manifest.schema.iter().map(|revision| revision.as_str()).collect();
    out += &field("schema", &schema.join(", "), look);
    let server = format!("PostgreSQL {}.{}", manifest.server / 10_000, manifest.server % 10_000);
    let locale = &manifest.locale;
    out += &field("server", &format!("{server}, {} {}, {}", locale.encoding, locale.collate, manifest.pg_dump), look);
    let extensions: Vec<String> =
        manifest.extensions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    out += &field("extensions", &extensions.join(", "), look);
    out + &field("sha256", &manifest.dump.sha256, look)
}

/// What is kept of its folders.
fn files(files: Option<&Files>) -> String {
    let Some(files) = files else { return String::new() };
    let (bytes, new) = (size(files.bytes), size(files.new_bytes));
    let restless = match files.restless {
        0 => String::new(),
        count => format!(", {count} changed meanwhile"),
    };
    format!("{} of {}, {bytes}; {new} of it new{restless}", files.files, files.folders.join(", "))
}

/// Each level with its time, and those that were not reached.
fn levels(manifest: &Manifest, proof: Option<&Proof>, look: &Look) -> Vec<String> {
    let at = |text: &str| {
        let ms = text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond);
        ms.map_or_else(|_| text.to_owned(), |ms| when::minute(ms, &look.zone))
    };
    let mut lines = vec![format!("written {}", at(&manifest.at))];
    for level in [Level::Checksummed, Level::Decodes, Level::Restored, Level::Matched] {
        let reached = proof.and_then(|proof| proof.reached.iter().find(|reached| reached.level == level));
        lines.push(match reached {
            Some(reached) => format!("{} {}, {}", level.word(), at(&reached.at), took(reached.took)),
            None => format!("NOT {}", level.word()),
        });
    }
    lines
}

fn tables(tables: &[Table]) -> Vec<String> {
    let mut largest: Vec<&Table> = tables.iter().collect();
    largest.sort_by_key(|table| std::cmp::Reverse(table.rows));
    let word = |table: &&Table| {
        let how = if table.hash.is_some() { "" } else { ", only counted" };
        format!("{}.{}: {} rows{how}", table.schema, table.name, table.rows)
    };
    let mut lines: Vec<String> = largest.iter().take(TABLES).map(word).collect();
    if tables.len() > TABLES {
        lines.push(format!("and {} more; --json has all", tables.len() - TABLES));
    }
    lines
}

/// What retention would delete.
#[must_use]
pub fn doomed(doomed: &[Doomed], look: &Look) -> String {
    if doomed.is_empty() {
        return "nothing would be deleted\n".to_owned();
    }
    let name = doomed.iter().map(|one| width(one.name.as_str())).max().unwrap_or(0).max(4);
    let mut out = head(&[pad("NAME", name), pad("SIZE", 8), "WHY".into()], look);
    for one in doomed {
        let why = fit(&one.why, look.width.saturating_sub(name + 12));
        out += &format!("{}  {}  {why}\n", pad(one.name.as_str(), name), pad(&size(one.bytes), 8));
    }
    out
}

/// One part of a run: mark, name, what came of it, how long it took.
#[must_use]
pub fn part(part: &Progress, look: &Look) -> String {
    let (tone, mark) = match part.state.as_str() {
        "done" => (Tone::Good, "✓"),
        "failed" => (Tone::Bad, "✗"),
        "late" => (Tone::Odd, "!"),
        "skipped" => (Tone::Faint, "·"),
        _ => (Tone::Faint, "…"),
    };
    let took = when::lasted(part.took.unwrap_or(look.now - part.began));
    let room = look.width.saturating_sub(12 + 1 + width(&took));
    let detail = match (part.part, part.state.as_str()) {
        (Part::Prune, "done") if part.detail.is_empty() => "nothing to delete",
        (Part::Push, "done") if part.detail.is_empty() => "all are off-site already",
        _ => &part.detail,
    };
    format!(
        "  {} {} {} {}\n",
        look.paint(tone, mark),
        pad(part.part.word(), 7),
        pad(&fit(detail, room), room),
        look.paint(Tone::Faint, &took)
    )
}

/// The last line of a run that came to a good end.
#[must_use]
pub fn ended(view: &CareView, look: &Look) -> String {
    let proven = view.care.parts.iter().any(|part| part.part == Part::Prove && part.state == "done");
    let text = match &view.care.backup {
        Some(name) if proven => format!("backup {name} of {} is {}\n", view.app, look.paint(Tone::Good, "proven")),
        _ => String::new(),
    };
    match view.care.late() {
        Some(late) => {
            let again = "the next backup tries again; `tsh-agent backup push` does it now";
            format!("{text}{}: {}\n{again}\n", look.paint(Tone::Bad, "NOT off-site"), late.detail)
        }
        None => text,
    }
}

fn took(ms: u64) -> String {
    when::lasted(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
