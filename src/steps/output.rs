//! A step's output: each line goes to standard output (which systemd opened as a file, and which the core
//! serves to clients) and to the journal with the deployment's number. The last line is the report.

use std::io::{self, Write};

use crate::model::request::Report;

/// Marks what is for the core among the lines, such as the report: the ASCII record separator. It is removed from everything else.
pub const MARK: char = '\u{1e}';

/// Says one line.
pub fn say(line: &str) {
    let line = line.replace([MARK, '\r'], "");
    // A full disk must not end a step half-way: the line is lost here, and still in the journal.
    writeln!(io::stdout(), "{line}").ok();
    tracing::info!("{line}");
}

/// Says what came of the step; nothing follows. Without it the core takes the step for failed.
pub fn report(report: &Report, invocation: &str) -> io::Result<()> {
    let line = serde_json::json!({ "invocation": invocation, "report": report });
    let mut out = io::stdout();
    writeln!(out, "{MARK}{line}")?;
    out.flush()
}
