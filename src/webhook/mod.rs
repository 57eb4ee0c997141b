//! The network face: takes webhooks, and tells the core that something may have been pushed.
//!
//! It is the part that strangers can reach, so it can do nothing: it has a user of its own, no network but the socket it
//! is given, and the bus lets it say "something may have been pushed". What it says is a hint; the core asks the remote.

mod crowd;
mod face;
mod limited;
mod payload;
mod refused;
mod route;
mod serve;
mod strict;
mod verify;

pub use face::Face;
pub use payload::{Meaning, meaning};
pub use refused::Refused;
pub use serve::serve;
pub use verify::verify;
