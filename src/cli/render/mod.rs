//! What people see: views become text here, and nothing else happens. Width, colours, clock and time zone
//! come from outside, so that every screen is the same in a test.

pub mod audit;
pub mod backup;
pub mod check;
pub mod config;
pub mod diff;
pub mod ending;
pub mod gates;
pub mod history;
pub mod key;
pub mod plan;
pub mod progress;
pub mod quarantine;
pub mod rehearsal;
pub mod restore;
pub mod rollback;
pub mod show;
pub mod status;
mod text;

#[cfg(test)]
pub(crate) mod fixtures;

use jiff::tz::TimeZone;

use crate::model::view::StepView;
use crate::when;
use text::{fit, pad, width, wrap};

/// How the reader looks at it.
#[derive(Debug, Clone)]
pub struct Look {
    /// Columns.
    pub width: usize,
    /// Whether colours may be used. They never mean anything by themselves.
    pub colour: bool,
    /// Milliseconds since 1970 (UTC).
    pub now: i64,
    /// The reader's time zone.
    pub zone: TimeZone,
}

/// What a colour stands for.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Failed.
    Bad,
    /// Not as it should be, or being undone.
    Odd,
    /// Of less interest.
    Faint,
}

impl Look {
    /// `text` in a tone.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Odd => "33",
            Tone::Faint => "2",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// The column in which the text of a field begins.
const FIELD: usize = 14;

/// What went wrong, and the fields that are known about it.
#[must_use]
pub fn error(what: &str, about: &[(&str, &str)], look: &Look) -> String {
    let fields: String = about.iter().map(|(label, text)| field(label, text, look)).collect();
    // The first line is not wrapped: programs look for it.
    format!("{} {what}\n{fields}", look.paint(Tone::Bad, "error:"))
}

/// `  label:     text`, wrapped; nothing if there is no text.
fn field(label: &str, text: &str, look: &Look) -> String {
    fields(label, &[text], look)
}

/// The same for several texts under one label.
fn fields(label: &str, texts: &[impl AsRef<str>], look: &Look) -> String {
    let mut out = String::new();
    let room = look.width.saturating_sub(FIELD).max(20);
    for line in texts.iter().flat_map(|text| wrap(text.as_ref(), room)) {
        let head = if out.is_empty() { format!("  {label}:") } else { String::new() };
        out += &format!("{}{line}\n", pad(&head, FIELD));
    }
    out
}

/// What a deployment of this kind is called.
fn kind(kind: &str) -> &'static str {
    match kind {
        "rollback" => "rollback",
        "restore" => "restore",
        _ => "deployment",
    }
}

/// One attempt at a step: mark, name, what came of it, how long it took.
fn step(step: &StepView, look: &Look) -> String {
    let (tone, mark) = match step.state.as_str() {
        "done" if step.step.is_back() => (Tone::Odd, "✓"),
        "done" => (Tone::Good, "✓"),
        "failed" if step.step.is_optional() => (Tone::Odd, "!"),
        "failed" | "refused" => (Tone::Bad, "✗"),
        "waiting" => (Tone::Odd, "…"),
        // Looked for after a crash and not found: it is done again.
        "void" => (Tone::Faint, "·"),
        _ => (Tone::Faint, "…"),
    };
    let mut took = when::lasted(step.took.unwrap_or(look.now - step.began));
    // What takes no time needs no promise.
    if let Some(expected) = step.expected.filter(|expected| step.took.is_none() && *expected >= 1000) {
        took += &format!(" of about {}", when::lasted(expected));
    }
    // mark and name: 2 + 1 + 1 + 14 + 1; then a space before the duration.
    let room = look.width.saturating_sub(19 + 1 + width(&took));
    let detail = match step.state.as_str() {
        "void" if step.detail.is_empty() => "interrupted, again",
        _ => &step.detail,
    };
    format!(
        "  {} {} {} {}\n",
        look.paint(tone, mark),
        pad(step.step.word(), 14),
        pad(&fit(detail, room), room),
        look.paint(Tone::Faint, &took)
    )
}

#[cfg(test)]
mod tests;
