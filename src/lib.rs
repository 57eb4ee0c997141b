//! `tsh-agent`: makes a new revision live on one production server, and never leaves the server worse
//! than it found it.

pub mod api;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod database;
pub mod deploy;
pub mod events;
pub mod host;
pub mod init;
pub mod logging;
pub mod model;
pub mod paths;
pub mod scrape;
pub mod steps;
pub mod store;
pub mod webhook;
pub mod when;
