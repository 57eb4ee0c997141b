//! The only place that writes to the terminal. A reader that went away (a closed pipe, a dropped SSH
//! connection) is no reason to stop: the exit code still counts.

use std::io::Write;

/// Data and progress.
pub fn out(text: &str) {
    write(&mut std::io::stdout().lock(), text);
}

/// Failures.
pub fn err(text: &str) {
    write(&mut std::io::stderr().lock(), text);
}

fn write(to: &mut impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
