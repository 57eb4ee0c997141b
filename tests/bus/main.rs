//! The interface on a real bus: a core that plays a script on one side, the real program on the other.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "this is a test")]

mod door;
mod gates;
mod hostile;
mod interface;
mod own;
mod scrape;
mod support;
mod verbs;
mod views;
mod webhook;
