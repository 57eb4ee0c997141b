//! Configuration: root's files, read once, validated, and then just values.
//!
//! `read` finds the files, `document` knows where in them everything stands, `values` reads single values, and
//! `manual` reads what the example says, `force` what is in force, and
//! there is a file for each table: `source`, `push`, `build`, `backup`, `service`, `database`, `rehearsal`,
//! `gates`, `probe`, `notices`.

mod backup;
mod build;
mod database;
mod document;
mod error;
#[cfg(test)]
mod example;
mod force;
mod gates;
pub mod manual;
#[cfg(test)]
mod manual_tests;
mod notices;
mod offsite;
mod probe;
mod push;
mod read;
#[cfg(test)]
mod refusals;
mod rehearsal;
mod service;
mod settings;
mod source;
mod strategy;
#[cfg(test)]
pub mod testing;
mod values;

/// The commented example: the manual of every key, and the file that `init` fills in.
pub const EXAMPLE: &str = include_str!("../../config/tsh-erp.toml");

pub use error::ConfigError;
pub use force::{InForce, Setting, Shown, in_force, in_force_of};
pub use read::{apps, load, parse};
pub use settings::*;
pub use strategy::*;
