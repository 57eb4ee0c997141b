//! `[service]`: what runs the application.

use std::net::SocketAddr;
use std::time::Duration;

use super::document::{Read, Table, Value, quoted};
use super::settings::{Role, Service, Unit};
use super::strategy::{Serve, Strategy};
use super::values::{choice, duration, relative, ruled};
use crate::model::names::{App, BadName, UnitName};
use crate::model::slot::Slot;

pub(super) fn read(app: &App, table: &Table<'_>) -> Read<Service> {
    table.known(&["user", "strategy", "units", "app", "listen", "drain", "state", "public", "stop_timeout"])?;
    let user = table.required("user", user)?;
    let serve = serve(table)?;
    let units = match serve.strategy {
        Strategy::Restart => table.required("units", units)?,
        strategy => {
            let own = Slot::ALL.into_iter().filter(|slot| strategy == Strategy::Slots || *slot == Slot::A);
            let own = own.map(|slot| format!("{app}@{}.service", slot.word()).parse());
            let own: Result<Vec<UnitName>, BadName> = own.collect();
            let own = own.map_err(|bad| table.wrong(format!("no unit can be named after {app}: {bad}")))?;
            let own = own.into_iter().map(|name| Unit { name, role: Role::Web });
            own.chain(table.optional("units", background)?.unwrap_or_default()).collect()
        }
    };
    let state = table.optional("state", |value| value.list("a list of folders", folder))?.unwrap_or_default();
    let public = |value: &Value<'_>| {
        let of_state = |value: &Value<'_>| {
            let folder = folder(value)?;
            let problem = || format!("{} is not in `state`; list it there as well", quoted(&folder));
            if state.contains(&folder) { Ok(folder) } else { Err(value.wrong(problem())) }
        };
        value.list("a list of folders", of_state)
    };
    Ok(Service {
        user,
        units,
        serve,
        public: table.optional("public", public)?.unwrap_or_default(),
        state,
        stop_timeout: table
            .optional("stop_timeout", duration(Duration::from_secs(1), Duration::from_hours(1)))?
            .unwrap_or(Duration::from_secs(30)),
    })
}

/// How a release takes over; what the launcher serves has no effect without a socket, but must be right.
fn serve(table: &Table<'_>) -> Read<Serve> {
    let strategies = [("restart", Strategy::Restart), ("socket", Strategy::Socket), ("slots", Strategy::Slots)];
    let strategy = table.optional("strategy", choice(&strategies))?.unwrap_or(Strategy::Restart);
    let asgi = ruled("what uvicorn serves, such as \"erp.main:app\"", |text| {
        let named =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        text.split_once(':').is_some_and(|(module, attribute)| named(module) && named(attribute))
    });
    let (app, at) = if strategy == Strategy::Restart {
        (table.optional("app", asgi)?, table.optional("listen", listen)?)
    } else {
        (Some(table.required("app", asgi)?), Some(table.required("listen", listen)?))
    };
    let drain = table.optional("drain", duration(Duration::from_secs(1), Duration::from_hours(1)))?;
    Ok(Serve { strategy, app, listen: at, drain: drain.unwrap_or(Duration::from_secs(20)) })
}

/// An address and a port: a port alone would be open to the world.
fn listen(value: &Value<'_>) -> Read<SocketAddr> {
    const EXPECTED: &str = "an address with its port, such as \"127.0.0.1:8000\"";
    let text = value.text(EXPECTED)?;
    text.parse().ok().filter(|at: &SocketAddr| at.port() > 0).ok_or_else(|| value.not(EXPECTED))
}

/// Units beside the slots, which the agent's own units run.
fn background(value: &Value<'_>) -> Read<Vec<Unit>> {
    let none = value.raw().as_array().is_some_and(|list| list.is_empty());
    let units = if none { Vec::new() } else { units(value)? };
    match units.iter().find(|unit| unit.role == Role::Web) {
        Some(web) => Err(value.wrong(format!(
            "{} has the role \"web\", but with a socket in front `tsh-agent init` writes the unit that answers",
            web.name
        ))),
        None => Ok(units),
    }
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
