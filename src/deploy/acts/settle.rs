//! Settle: the release is the good one from now on.

use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::journal::Output;

/// Records the release as the good one.
pub async fn settle<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let release = engine.release();
    engine.world.settle(release).await?;
    Ok(Output::Nothing)
}
