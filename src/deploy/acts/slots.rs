//! Stage, hand-over and the way back, where two slots share a socket: the new release starts in the idle one, where no
//! request reaches it, and takes over when it has proven itself. The old one stays up until the end, not accepting.

use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::journal::{Before, Cause, Output, UnitWas};
use crate::model::machine;
use crate::model::names::UnitName;
use crate::model::slot::{Link, Slot};

use super::units;

/// The slot of the old release. After the commit point a boot has started the new release already, and then the other
/// slot is the old one.
pub async fn before<W: World>(engine: &mut Engine<'_, W>) -> Act<Before> {
    let serving = engine.world.serving_slot().await?;
    let serves_new = engine.world.link(Link::Slot(serving)).await? == Some(engine.release());
    let swapped = machine::committed(&engine.journal) && serves_new;
    Ok(Before::Slot(if swapped { serving.other() } else { serving }))
}

/// Starts the new release beside the old one.
pub async fn stage<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let (old, new) = machine::slots(&engine.journal);
    let release = engine.release();
    let name = unit(engine, new)?;
    let now = engine.world.unit(&name).await?;
    if machine::committed(&engine.journal) && now.up && engine.world.link(Link::Slot(new)).await? == Some(release) {
        return Ok(Output::Up(vec![units::was(name, now)]));
    }
    if !engine.world.has_release(release).await? {
        return Err(Cause::new(format!("release {release} is not there any more")));
    }
    // Said before it starts: what is started and not chosen does not accept.
    engine.world.set_serving(Some(old)).await?;
    engine.world.stop_unit(&name).await?;
    engine.world.point(Link::Slot(new), Some(release)).await?;
    Ok(Output::Up(vec![start(engine, &name).await?]))
}

/// Lets the new slot accept; the old one finishes what it has, and stays.
pub async fn hand_over<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let (_, new) = machine::slots(&engine.journal);
    accept(engine, new).await?;
    Ok(Output::Nothing)
}

/// Lets the old slot accept again. It runs, unless somebody killed it.
pub async fn hand_back<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let (old, _) = machine::slots(&engine.journal);
    let name = unit(engine, old)?;
    let now = engine.world.unit(&name).await?;
    let up = if now.up { units::was(name, now) } else { start(engine, &name).await? };
    accept(engine, old).await?;
    Ok(Output::Up(vec![up]))
}

/// Stops the slot of the old release when it has drained, and gives it the new one. Tells what was cut off.
pub async fn retire<W: World>(engine: &mut Engine<'_, W>) -> Act<u64> {
    let (old, _) = machine::slots(&engine.journal);
    let (name, release) = (unit(engine, old)?, engine.release());
    let within = engine.settings.service.socket().map(|serve| serve.drain).unwrap_or_default();
    let open = engine.world.drained(&name, within).await?;
    engine.world.stop_unit(&name).await?;
    engine.world.point(Link::Slot(old), Some(release)).await?;
    Ok(open)
}

async fn accept<W: World>(engine: &mut Engine<'_, W>, slot: Slot) -> Act<()> {
    let name = unit(engine, slot)?;
    engine.world.set_serving(Some(slot)).await?;
    engine.world.accepting(&name).await
}

async fn start<W: World>(engine: &mut Engine<'_, W>, name: &UnitName) -> Act<UnitWas> {
    engine.world.start_unit(name).await?;
    let now = engine.world.unit(name).await?;
    if now.up { Ok(units::was(name.clone(), now)) } else { Err(units::died(name, &now)) }
}

/// The unit of a slot. Settings may have changed since the deployment began.
pub fn unit<W: World>(engine: &Engine<'_, W>, slot: Slot) -> Act<UnitName> {
    engine.settings.slot(slot).ok_or_else(|| {
        Cause::new(format!("there is no slot {} any more", slot.word()))
            .hint("service.strategy was changed while a deployment was open: set it to \"slots\" again")
    })
}
