//! The output of a step: the file that systemd opened for it, whose last line is the report.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::UNIX_EPOCH;

use serde::Deserialize;

use crate::model::journal::{Cause, Invocation};
use crate::model::names::App;
use crate::model::request::Report;
use crate::paths;
use crate::steps::advance::FAR;
use crate::steps::output::MARK;

/// The report is at the end; it is never longer than this.
const END: u64 = 1 << 20;
/// Served at once to a client.
const PIECE: u64 = 64 << 10;
/// A line that tells how far a step is, is never longer.
const LINE: u64 = 256;

#[derive(Deserialize)]
struct Last {
    invocation: Invocation,
    report: Report,
}

/// The report of this run; a report of another run, or none, is none.
#[must_use]
pub fn report(app: &App, kind: &str, invocation: &str) -> Option<Report> {
    let text = tail(app, kind, END).ok()?;
    let last = text.rsplit('\n').find_map(|line| line.strip_prefix(MARK).filter(|line| !line.starts_with(FAR)))?;
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

/// How far a step is that began at `since`, in milliseconds since 1970 (UTC), if that is what it told last.
#[must_use]
pub fn progress(app: &App, kind: &str, since: i64) -> Option<String> {
    if !is_of(&File::open(paths::output(app, kind)).ok()?, since).ok()? {
        return None;
    }
    let text = tail(app, kind, LINE).ok()?;
    far(&text).map(str::to_owned)
}

/// Whether the file is of a run that began at `since`: until PID 1 has emptied it, it is that of the run before.
fn is_of(file: &File, since: i64) -> io::Result<bool> {
    let written = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(written.as_millis()).is_ok_and(|written| written >= since))
}

/// What the last whole line tells, if it tells how far the step is.
fn far(text: &str) -> Option<&str> {
    text.strip_suffix('\n')?.rsplit('\n').next()?.strip_prefix(MARK)?.strip_prefix(FAR)
}

/// A piece from `offset` on of what a step said that began at `since`, in milliseconds since 1970 (UTC), and the offset
/// after it. What is for the core is left out.
///
/// # Errors
/// If the file cannot be read.
pub fn piece(app: &App, kind: &str, since: i64, offset: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut file = match File::open(paths::output(app, kind)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), offset)),
        other => other?,
    };
    if !is_of(&file, since)? {
        return Ok((Vec::new(), offset));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(PIECE).read_to_end(&mut bytes)?;
    let taken = unmarked(&mut bytes);
    Ok((bytes, offset + u64::try_from(taken).unwrap_or_default()))
}

/// Takes out what is for the core alone, and tells how far was read: a marked line without its end is read again.
fn unmarked(bytes: &mut Vec<u8>) -> usize {
    let (mut kept, mut rest) = (Vec::new(), bytes.as_slice());
    while let Some(at) = rest.iter().position(|byte| u32::from(*byte) == u32::from(MARK)) {
        kept.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            let taken = bytes.len() - rest.len();
            *bytes = kept;
            return taken;
        };
        rest = &rest[end + 1..];
    }
    kept.extend_from_slice(rest);
    let taken = bytes.len();
    *bytes = kept;
    taken
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_the_core_is_taken_out_wherever_a_piece_ends() {
        let text = "one\n\u{1e}~1 MB of 2 MB\ntwo\n\u{1e}~2 MB of 2 MB\nthree\n\u{1e}{\"report\":{}}\n";
        for piece in 20..=text.len() {
            let (mut offset, mut said) = (0, Vec::new());
            while offset < text.len() {
                let mut bytes = text.as_bytes()[offset..(offset + piece).min(text.len())].to_vec();
                let taken = unmarked(&mut bytes);
                assert!(taken > 0, "it goes on");
                offset += taken;
                said.extend(bytes);
            }
            assert_eq!(String::from_utf8(said).unwrap(), "one\ntwo\nthree\n", "in pieces of {piece}");
        }
    }

    #[test]
    fn what_lies_there_from_the_run_before_is_not_this_one_s() {
        let file = tempfile::tempfile().unwrap();
        let at = |ms| UNIX_EPOCH + std::time::Duration::from_millis(ms);
        file.set_modified(at(5_000)).unwrap();
        assert_eq!([4_999, 5_000, 5_001].map(|since| is_of(&file, since).unwrap()), [true, true, false]);
    }

    #[test]
    fn only_the_last_line_tells_how_far_it_is() {
        assert_eq!(far("one\n\u{1e}~1 MB of 2 MB\n"), Some("1 MB of 2 MB"));
        for over in ["\u{1e}~1 MB of 2 MB\ntwo\n", "\u{1e}~1 MB of", "\u{1e}{\"report\":{}}\n", ""] {
            assert_eq!(far(over), None, "{over:?}");
        }
    }
}
