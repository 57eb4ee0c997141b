//! `[rehearsal]`: how a release is tried on a copy of the database.

use std::time::Duration;

use super::build::variable;
use super::document::{Read, Table};
use super::settings::Rehearsal;
use super::values::{command, duration, pairs};

pub(super) fn read(table: &Table<'_>) -> Read<Rehearsal> {
    table.known(&["serve", "smoke", "environment", "timeout"])?;
    Ok(Rehearsal {
        serve: table.optional("serve", command)?,
        smoke: table.optional("smoke", command)?,
        environment: table.optional("environment", pairs("a table of variables", variable))?.unwrap_or_default(),
        timeout: table
            .optional("timeout", duration(Duration::from_secs(1), Duration::from_hours(1)))?
            .unwrap_or(Duration::from_mins(2)),
    })
}
