//! How the reader looks at it: the one place that asks the terminal, the environment and the clock.

use std::io::IsTerminal;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::render::Look;

/// Longer lines are hard to read, even where there is room.
const WIDEST: usize = 110;
/// Where nobody says how wide it is: a file, a pipe.
const USUAL: usize = 80;
const NARROWEST: usize = 40;

/// How what is written to `to` is seen.
#[must_use]
pub fn look(to: &impl IsTerminal) -> Look {
    let terminal = to.is_terminal();
    let width = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| usize::from(width.0));
    Look {
        width: width.unwrap_or(USUAL).clamp(NARROWEST, WIDEST),
        colour: terminal && !is_dumb() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        now: Timestamp::now().as_millisecond(),
        zone: TimeZone::system(),
    }
}

/// Whether a line of standard output can be redrawn.
#[must_use]
pub fn is_live() -> bool {
    std::io::stdout().is_terminal() && !is_dumb()
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}
