//! The output of a step: the file that systemd opened for it, whose last line is the report.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::Deserialize;

use crate::model::journal::{Cause, Invocation};
use crate::model::names::App;
use crate::model::request::Report;
use crate::paths;
use crate::steps::output::MARK;

/// The report is at the end; it is never longer than this.
const END: u64 = 1 << 20;
/// Served at once to a client.
const PIECE: u64 = 64 << 10;

#[derive(Deserialize)]
struct Last {
    invocation: Invocation,
    report: Report,
}

/// The report of this run; a report of another run, or none, is none.
#[must_use]
pub fn report(app: &App, kind: &str, invocation: &str) -> Option<Report> {
    let text = tail(app, kind, END).ok()?;
    let last = text.rsplit('\n').find_map(|line| line.strip_prefix(MARK))?;
    let last: Last = serde_json::from_str(last).ok()?;
    (last.invocation == invocation).then_some(last.report)
}

/// The last lines for a person, without the report.
#[must_use]
pub fn last_lines(app: &App, kind: &str, count: usize) -> Vec<String> {
    let text = tail(app, kind, PIECE).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with(MARK)).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

/// A piece from `offset` on, and the offset after it. The report is left out.
///
/// # Errors
/// If the file cannot be read.
pub fn piece(app: &App, kind: &str, offset: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = match File::open(paths::output(app, kind)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), offset)),
        other => other?,
    };
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(PIECE).read_to_end(&mut bytes)?;
    let next = offset + u64::try_from(bytes.len()).unwrap_or_default();
    if let Some(at) = bytes.iter().position(|byte| u32::from(*byte) == u32::from(MARK)) {
        bytes.truncate(at);
    }
    Ok((bytes, next))
}

/// What a step that says nothing has failed of.
#[must_use]
pub fn silent(app: &App, kind: &str, unit: &str, invocation: &str, how: &str) -> Cause {
    let mut cause = Cause::new(format!("the {kind} step ended without a report: {how}"));
    cause.tail = last_lines(app, kind, 10);
    cause.unit = Some((unit.to_owned(), invocation.to_owned()));
    cause
}

fn tail(app: &App, kind: &str, bytes: u64) -> io::Result<String> {
    let mut file = File::open(paths::output(app, kind))?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}
