//! Switch, switch-back, close, reopen: one rename a link, one file.

use crate::deploy::act::Seen;
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::journal::{Cause, Output};
use crate::model::machine;
use crate::model::names::ReleaseId;
use crate::model::slot::Link;

/// The links that are moved while nothing runs from them: of two slots that take turns only that of the workers.
fn moved<W: World>(engine: &Engine<'_, W>) -> Vec<Link> {
    if machine::staged(&engine.journal) { vec![Link::Current] } else { engine.settings.links() }
}

/// Points the links at the new release.
pub async fn forward<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let release = engine.release();
    if !engine.world.has_release(release).await? {
        return Err(Cause::new(format!("release {release} is not there any more")));
    }
    let links = moved(engine);
    point(engine, links, Some(release)).await
}

/// Points the links at the release that was live before; removes them if there was none.
pub async fn back<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let from = engine.journal.order().and_then(|order| order.from);
    let mut links = moved(engine);
    if machine::staged(&engine.journal) {
        links.push(Link::Slot(machine::slots(&engine.journal).1));
    }
    point(engine, links, from).await
}

/// Beside a slot that goes on serving, a link that is right already is not touched: something may run from it.
async fn point<W: World>(engine: &mut Engine<'_, W>, links: Vec<Link>, to: Option<ReleaseId>) -> Act<Output> {
    for link in links {
        if !machine::staged(&engine.journal) || engine.world.link(link).await? != to {
            engine.world.point(link, to).await?;
        }
    }
    Ok(Output::Nothing)
}

/// Whether the links point at the new release already.
pub async fn look<W: World>(engine: &mut Engine<'_, W>) -> Act<Seen> {
    let release = engine.release();
    for link in moved(engine) {
        if engine.world.link(link).await? != Some(release) {
            return Ok(Seen::NotDone);
        }
    }
    Ok(Seen::Done(Output::Nothing))
}

/// Closes or opens the door.
pub async fn door<W: World>(engine: &mut Engine<'_, W>, closed: bool) -> Act<Output> {
    engine.world.set_door(closed).await?;
    Ok(Output::Nothing)
}
