//! Switch, switch-back, close, reopen: one rename, one file.

use crate::deploy::act::Seen;
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::journal::{Cause, Output};

/// Points the link at the new release.
pub async fn forward<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let release = engine.release();
    if !engine.world.has_release(release).await? {
        return Err(Cause::new(format!("release {release} is not there any more")));
    }
    engine.world.point(Some(release)).await?;
    Ok(Output::Nothing)
}

/// Points the link at the release that was live before; removes it if there was none.
pub async fn back<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let from = engine.journal.order().and_then(|order| order.from);
    engine.world.point(from).await?;
    Ok(Output::Nothing)
}

/// Whether the link points at the new release already.
pub async fn look<W: World>(engine: &mut Engine<'_, W>) -> Act<Seen> {
    let release = engine.release();
    Ok(if engine.world.link().await? == Some(release) { Seen::Done(Output::Nothing) } else { Seen::NotDone })
}

/// Closes or opens the door.
pub async fn door<W: World>(engine: &mut Engine<'_, W>, closed: bool) -> Act<Output> {
    engine.world.set_door(closed).await?;
    Ok(Output::Nothing)
}
