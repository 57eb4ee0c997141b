//! What a restore would do, on one screen: what leaves stands last, beside the question.

use super::backup::level;
use super::text::{cut, fit, pad, width};
use super::{Look, Tone, field};
use crate::model::leaving::Leaving;
use crate::model::restore::RestoreView;
use crate::model::size::size;
use crate::when;

/// Tables that are shown.
const TABLES: usize = 8;

/// The screen.
#[must_use]
pub fn plan(view: &RestoreView, look: &Look) -> String {
    let (tone, word) = level(&view.backup);
    let name = &view.backup.name;
    let mut out = format!("restore backup {name} of {}: {}\n", view.app, look.paint(tone, &word));
    let at = view.backup.at.map_or_else(|| "?".to_owned(), |at| when::minute(at, &look.zone));
    let age = view.backup.at.map(|at| format!(", {} ago", when::lasted(look.now - at))).unwrap_or_default();
    out += &field("taken", &format!("{at}{age}, {} rows in {} tables", view.backup.rows, view.backup.tables), look);
    out += &field("replaces", &format!("{}, which is kept for at least {} days", view.database, view.keep_days), look);
    out += &field("release", &format!("{} runs on it", view.release), look);
    let words = |revisions: &[crate::model::names::SchemaRevision]| {
        let words: Vec<&str> = revisions.iter().map(|revision| revision.as_str()).collect();
        if words.is_empty() { "no revision".to_owned() } else { words.join(", ") }
    };
    let live = match &view.live_schema {
        Ok(revisions) => format!("the live one at {}", words(revisions)),
        Err(why) => format!("that of the live one cannot be read: {why}"),
    };
    out += &field("schema", &format!("the backup is at {}, {live}", words(&view.schema)), look);
    let room = match view.free {
        Some(free) => format!("{} needed, {} free", size(view.need), size(free)),
        None => format!("{} needed; what is free cannot be seen", size(view.need)),
    };
    out += &field("space", &room, look);
    if !view.backup.is_proven() {
        let doubt = "this backup is not proven; it is compared with its manifest before anything is stopped";
        out += &field("note", doubt, look);
    }
    out.push('\n');
    match &view.leaving {
        Ok(tables) => out + &leaving(tables, look),
        Err(why) => out + &field("leaves", &format!("cannot be told: {why}"), look),
    }
}

fn leaving(tables: &[Leaving], look: &Look) -> String {
    let mut some: Vec<&Leaving> =
        tables.iter().filter(|table| !table.counted || table.leave() + table.come_back() > 0).collect();
    if some.is_empty() {
        return "the live database has the same rows: nothing would leave it\n".to_owned();
    }
    let counted = || tables.iter().filter(|table| table.counted);
    let (leave, back): (u64, u64) = (counted().map(Leaving::leave).sum(), counted().map(Leaving::come_back).sum());
    let least = if some.iter().all(|table| table.counted) { "" } else { "at least " };
    let rows = |count: u64| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let head = format!("{least}{} leave the live database, {} come back", rows(leave), rows(back));
    let mut out = format!("{}\n", look.paint(Tone::Odd, &head));
    some.sort_by_key(|table| std::cmp::Reverse((table.counted, table.leave(), table.come_back())));
    let room = some.iter().take(TABLES).map(|table| width(&name(table))).max().unwrap_or(0).min(40);
    for table in some.iter().take(TABLES) {
        let words = if table.counted {
            let how = match table.since {
                Some(_) if !table.rewritten() => "",
                _ => " (by number only)",
            };
            format!("{} new or changed, {} gone or changed{how}", table.leave(), table.come_back())
        } else {
            format!("about {}, too large to count now", rows(table.rows))
        };
        let line = format!("  {}  {words}", pad(&fit(&name(table), room), room));
        out += &format!("{}\n", cut(&line, look.width));
    }
    if some.len() > TABLES {
        out += &format!("  and {} more; --dry-run --json has all\n", some.len() - TABLES);
    }
    out + "what is written from now until the swap leaves it, too\n"
}

fn name(table: &Leaving) -> String {
    if table.schema == "public" { table.name.clone() } else { format!("{}.{}", table.schema, table.name) }
}

#[cfg(test)]
#[path = "restore_tests.rs"]
mod tests;
