//! The last deployments as a table.

use super::text::{fit, pad, width};
use super::{Look, Tone};
use crate::model::view::HistoryRow;
use crate::when;

/// A subject that is cut shorter tells nothing.
const SUBJECT: usize = 12;

/// The table; what does not fit into the width is left out from the right.
#[must_use]
pub fn history(rows: &[HistoryRow], look: &Look) -> String {
    if rows.is_empty() {
        return "no deployments yet\n".to_owned();
    }
    let several = rows.iter().any(|row| row.app != rows[0].app);
    let mut columns: Vec<Column> = vec![("ID", &|row, _| row.id.to_string())];
    if several {
        columns.push(("APP", &|row, _| fit(row.app.as_str(), 16)));
    }
    columns.extend::<[Column; 5]>([
        ("ASKED", &|row, look| when::minute(row.accepted, &look.zone)),
        ("REVISION", &|row, _| row.revision.as_ref().map_or_else(|| "-".to_owned(), |sha| sha.short().to_owned())),
        ("RESULT", &|row, _| row.state.clone()),
        ("TOOK", &|row, look| when::lasted(row.ended.unwrap_or(look.now) - row.accepted)),
        ("BY", &|row, _| fit(&row.by, 16)),
    ]);
    let mut cells: Vec<Vec<String>> = columns
        .iter()
        .map(|(head, cell)| std::iter::once((*head).to_owned()).chain(rows.iter().map(|row| cell(row, look))).collect())
        .collect();
    while cells.len() > 3 && total(&cells) > look.width {
        cells.pop();
    }
    let room = look.width.saturating_sub(total(&cells) + 2);
    if room >= SUBJECT {
        cells.push(
            std::iter::once("SUBJECT".to_owned()).chain(rows.iter().map(|row| fit(&subject(row), room))).collect(),
        );
    }
    (0..=rows.len()).map(|at| line(&cells, at, look)).collect()
}

type Column = (&'static str, &'static dyn Fn(&HistoryRow, &Look) -> String);

fn subject(row: &HistoryRow) -> String {
    let subject = row.subject.as_deref().unwrap_or_default();
    let pinned = if row.pinned { "(pinned) " } else { "" };
    match row.kind.as_str() {
        "rollback" => format!("{pinned}rollback: {subject}"),
        "restore" => format!("{pinned}restore of a backup"),
        _ => format!("{pinned}{subject}"),
    }
}

fn widest(column: &[String]) -> usize {
    column.iter().map(|cell| width(cell)).max().unwrap_or(0)
}

fn total(cells: &[Vec<String>]) -> usize {
    cells.iter().map(|column| widest(column) + 2).sum::<usize>().saturating_sub(2)
}

fn line(cells: &[Vec<String>], at: usize, look: &Look) -> String {
    let mut out = String::new();
    for (number, column) in cells.iter().enumerate() {
        let last = number + 1 == cells.len();
        let cell = if last { column[at].clone() } else { pad(&column[at], widest(column)) };
        let tone = match cell.trim_end() {
            _ if at == 0 => Some(Tone::Faint),
            "deployed" => Some(Tone::Good),
            "rolled-back" | "aborted" | "superseded" | "running" | "waiting" => Some(Tone::Odd),
            "failed" | "refused" | "needs-operator" => Some(Tone::Bad),
            _ => None,
        };
        out += &tone.map_or_else(|| cell.clone(), |tone| look.paint(tone, &cell));
        out += if last { "" } else { "  " };
    }
    format!("{}\n", out.trim_end())
}
