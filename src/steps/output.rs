//! A step's output: each line goes to standard output (which systemd opened as a file, and which the core
//! serves to clients) and to the journal with the deployment's number. The last line is the report.

use crate::model::request::Report;

/// Marks the report among the lines: the ASCII record separator. It is removed from everything else.
pub const MARK: char = '\u{1e}';

/// Says one line.
#[expect(clippy::print_stdout, reason = "standard output is the step's output file")]
pub fn say(line: &str) {
    let line = line.replace([MARK, '\r'], "");
    println!("{line}");
    tracing::info!("{line}");
}

/// Says what came of the step; nothing follows.
#[expect(clippy::print_stdout, reason = "standard output is the step's output file")]
pub fn report(report: &Report, invocation: &str) {
    let line = serde_json::json!({ "invocation": invocation, "report": report });
    println!("{MARK}{line}");
}
