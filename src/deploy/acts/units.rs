//! Stop, start, workers, halt, return: the units of the application.
//!
//! On a plain unit the order is stop, switch, start: a process must never see its link move, for it would import
//! modules of the other release.

use crate::config::Role;
use crate::deploy::act::Seen;
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, UnitNow, World};
use crate::model::journal::{Before, Cause, Output, UnitWas};
use crate::model::machine;
use crate::model::names::UnitName;
use crate::model::slot::Slot;
use crate::model::step::Step;

use super::slots;

/// What all units are doing now.
pub async fn now<W: World>(engine: &mut Engine<'_, W>) -> Act<Vec<UnitWas>> {
    let mut units = Vec::new();
    for name in engine.settings.all_units() {
        let unit = engine.world.unit(name).await?;
        units.push(UnitWas { name: name.clone(), up: unit.up, invocation: unit.invocation, restarts: unit.restarts });
    }
    Ok(units)
}

/// Stops all units, in the reverse order of their start. Beside a slot that goes on serving, only the background is
/// stopped, and on the way back the slot of the new release.
pub async fn stop<W: World>(engine: &mut Engine<'_, W>, step: Step) -> Act<Output> {
    let staged = machine::staged(&engine.journal);
    let mut names: Vec<UnitName> = engine.settings.all_units().cloned().collect();
    if staged {
        names = if engine.journal.touched(Step::Stop) { background(engine) } else { Vec::new() };
        if step == Step::Halt {
            names.insert(0, slots::unit(engine, machine::slots(&engine.journal).1)?);
        }
    } else if engine.settings.service.socket().is_some() {
        // The socket stays: a request starts the unit again, which then waits until a slot is chosen.
        engine.world.set_serving(None).await?;
    }
    for name in names.iter().rev() {
        engine.world.stop_unit(name).await?;
    }
    Ok(Output::Nothing)
}

/// Starts the units that answer requests.
pub async fn start_web<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    // After the commit point a reboot may have started them already, from the link that is right since before it.
    let accept_running = machine::committed(&engine.journal);
    web(engine, accept_running).await
}

/// Starts workers and timers.
pub async fn start_workers<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let names: Vec<UnitName> = background(engine);
    start(engine, &names, true).await
}

/// Starts the old release's units that answer requests.
pub async fn return_web<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    if machine::staged(&engine.journal) {
        return slots::hand_back(engine).await;
    }
    web(engine, false).await
}

async fn web<W: World>(engine: &mut Engine<'_, W>, accept_running: bool) -> Act<Output> {
    let names: Vec<UnitName> = engine.settings.web().cloned().collect();
    if engine.settings.service.socket().is_none() {
        return start(engine, &names, accept_running).await;
    }
    let mut up = Vec::new();
    for name in names {
        let now = engine.world.unit(&name).await?;
        if !(now.up && accept_running) {
            // A request may have started it since it was stopped, from the link as it was then.
            engine.world.set_serving(None).await?;
            engine.world.stop_unit(&name).await?;
        }
        engine.world.set_serving(Some(Slot::A)).await?;
        engine.world.start_unit(&name).await?;
        let now = engine.world.unit(&name).await?;
        if !now.up {
            return Err(died(&name, &now));
        }
        up.push(was(name, now));
    }
    Ok(Output::Up(up))
}

/// Starts the old release's workers and timers, those that were up before.
pub async fn return_workers<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let was_up = |name: &UnitName| match engine.journal.first_before(Step::Stop) {
        Some(Before::Units(units)) => units.iter().any(|unit| unit.name == *name && unit.up),
        _ => true,
    };
    let names: Vec<UnitName> = background(engine).into_iter().filter(|name| was_up(name)).collect();
    start(engine, &names, true).await
}

/// Whether the units that answer requests run in a run that did not exist before.
pub async fn look_started<W: World>(engine: &mut Engine<'_, W>, before: &Before) -> Act<Seen> {
    let Before::Units(were) = before else { return Ok(Seen::NotDone) };
    let names: Vec<UnitName> = engine.settings.web().cloned().collect();
    let mut up = Vec::new();
    for name in names {
        let unit = engine.world.unit(&name).await?;
        let old = were.iter().find(|was| was.name == name).map(|was| was.invocation.as_str()).unwrap_or_default();
        if !unit.up || unit.invocation == old {
            return Ok(Seen::NotDone);
        }
        up.push(was(name, unit));
    }
    Ok(Seen::Done(Output::Up(up)))
}

/// The units whose runs the given steps have started, as they were then.
pub fn started<W: World>(engine: &Engine<'_, W>, steps: &[Step]) -> Vec<UnitWas> {
    let up = steps.iter().filter_map(|step| match engine.journal.output(*step) {
        Some(Output::Up(units)) => Some(units.clone()),
        _ => None,
    });
    up.flatten().collect()
}

fn background<W: World>(engine: &Engine<'_, W>) -> Vec<UnitName> {
    let role = |role| engine.settings.units(role).cloned();
    role(Role::Worker).chain(role(Role::Timer)).collect()
}

/// Starts units one after another. A unit that is up already is started anew, unless what runs there is known to be
/// right: a start that does nothing proves nothing.
async fn start<W: World>(engine: &mut Engine<'_, W>, names: &[UnitName], accept_running: bool) -> Act<Output> {
    let mut up = Vec::new();
    for name in names {
        let old = engine.world.unit(name).await?;
        if old.up && accept_running {
            up.push(was(name.clone(), old));
            continue;
        }
        if old.up {
            engine.world.stop_unit(name).await?;
        }
        engine.world.start_unit(name).await?;
        let new = engine.world.unit(name).await?;
        if !new.up || new.invocation == old.invocation {
            return Err(died(name, &new));
        }
        up.push(was(name.clone(), new));
    }
    Ok(Output::Up(up))
}

/// What is remembered of a unit.
pub fn was(name: UnitName, unit: UnitNow) -> UnitWas {
    UnitWas { name, up: unit.up, invocation: unit.invocation, restarts: unit.restarts }
}

/// Says how a unit is when it should be up.
pub fn died(name: &UnitName, unit: &UnitNow) -> Cause {
    let mut cause = Cause::new(format!("{name} did not stay up: {}", unit.words));
    cause.unit = Some((name.to_string(), unit.invocation.clone()));
    cause
}
