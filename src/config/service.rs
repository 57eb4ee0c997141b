//! `[service]`: what runs the application.

use std::time::Duration;

use super::document::{Read, Table, Value, quoted};
use super::settings::{Role, Service, Unit};
use super::values::{choice, duration, relative, ruled};
use crate::model::names::{BadName, UnitName};

pub(super) fn read(table: &Table<'_>) -> Read<Service> {
    table.known(&["user", "units", "state", "stop_timeout"])?;
    Ok(Service {
        user: table.required("user", user)?,
        units: table.required("units", units)?,
        state: table.optional("state", |value| value.list("a list of folders", folder))?.unwrap_or_default(),
        stop_timeout: table
            .optional("stop_timeout", duration(Duration::from_secs(1), Duration::from_hours(1)))?
            .unwrap_or(Duration::from_secs(30)),
    })
}

/// The name of a user of this server.
pub(super) fn unix_user(value: &Value<'_>) -> Read<String> {
    ruled("the name of a unix user, of lower-case letters, digits, '_' and '-'", |text| {
        text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
    })(value)
}

/// The application must not be root, nor be able to write what belongs to the agent.
fn user(value: &Value<'_>) -> Read<String> {
    let user = unix_user(value)?;
    if user == "root" || user.starts_with("tsh-agent") {
        return Err(value.wrong(format!("{user:?} cannot run an application; give it a user of its own")));
    }
    Ok(user)
}

fn folder(value: &Value<'_>) -> Read<String> {
    relative(value)?;
    Ok(value.text("a folder")?.to_owned())
}

fn units(value: &Value<'_>) -> Read<Vec<Unit>> {
    let units = value.list("a list of units, such as [{ name = \"app.service\", role = \"web\" }]", unit)?;
    if units.is_empty() {
        return Err(value.wrong("no unit is listed; at least one must run the application"));
    }
    for (index, unit) in units.iter().enumerate() {
        let before = &units[..index];
        if before.iter().any(|other| other.name == unit.name) {
            return Err(value.wrong(format!("{} is listed twice", unit.name)));
        }
        if let Some(other) = before.iter().find(|other| rank(other.role) > rank(unit.role)) {
            let order = "units start in this order: web, worker, timer";
            return Err(value.wrong(format!("{} is listed after {}, but {order}", unit.name, other.name)));
        }
    }
    Ok(units)
}

fn rank(role: Role) -> u8 {
    match role {
        Role::Web => 0,
        Role::Worker => 1,
        Role::Timer => 2,
    }
}

fn unit(value: &Value<'_>) -> Read<Unit> {
    let table = value.table("a unit, such as { name = \"app.service\", role = \"web\" }")?;
    table.known(&["name", "role"])?;
    let name = table.required("name", name)?;
    let role = table.required("role", |value| {
        let role = choice(&[("web", Role::Web), ("worker", Role::Worker), ("timer", Role::Timer)])(value)?;
        match (role == Role::Timer, name.as_str().ends_with(".timer")) {
            (false, true) => Err(value.wrong(format!("{name} starts something by the clock; its role is \"timer\""))),
            (true, false) => Err(value.wrong(format!("{name} is no timer; \"timer\" is for units that end in .timer"))),
            _ => Ok(role),
        }
    })?;
    Ok(Unit { name, role })
}

fn name(value: &Value<'_>) -> Read<UnitName> {
    let text = value.text("the name of a unit, such as \"app.service\"")?;
    let name: UnitName =
        text.parse().map_err(|bad: BadName| value.wrong(format!("{} is not valid: {}", quoted(text), bad.rule)))?;
    if text.contains("@.") {
        return Err(value.wrong(format!("{text:?} is a template; name an instance, such as \"app@1.service\"")));
    }
    if text.starts_with("tsh-agent") {
        return Err(value.wrong(format!("{text:?} belongs to the agent, not to an application")));
    }
    Ok(name)
}
