//! Settle: the release is the good one from now on.

use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::journal::Output;
use crate::model::machine;

use super::slots;

/// Records the release as the good one.
pub async fn settle<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let release = engine.release();
    if !machine::staged(&engine.journal) {
        engine.world.settle(release).await?;
        return Ok(Output::Nothing);
    }
    let cut_off = slots::retire(engine).await?;
    engine.world.settle(release).await?;
    Ok(Output::Settled { cut_off })
}
