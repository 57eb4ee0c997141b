//! The machine: systemd, links, the door.

mod attend;
pub mod backups;
pub mod ballast;
pub mod beside;
pub mod files;
mod gauge;
mod kept;
pub mod machine;
pub mod notify;
mod preflight;
pub mod rest;
pub mod slots;
pub mod step_output;
pub mod systemd;
pub mod users;

/// An error with all its causes, in one sentence.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
