//! Gates and clearance: the facts are gathered here, and judged in the model.

use super::{database, step_unit};
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::gates::{self, Facts, Ruling};
use crate::model::journal::{Cause, Output};
use crate::model::step::Step;

/// Asks every gate.
pub async fn ask<W: World>(engine: &mut Engine<'_, W>, step: Step) -> Act<Output> {
    let revision = step_unit::revision(engine)?;
    let standing = engine.world.standing().await?;
    let order = engine.journal.order().ok_or_else(|| Cause::new("the order is not on record"))?;
    let facts = Facts {
        now: engine.world.now(),
        rules: &engine.settings.gates,
        standing: &standing,
        overrides: &order.overrides,
        automatic: order.trigger.is_automatic(),
        revision: Some(&revision),
        running: order.from_revision.as_ref(),
        descends: engine.journal.fetched().and_then(|fetched| fetched.descends),
    };
    let mut judgement = gates::judge(&facts, engine.journal.judged());
    judgement.keep_what_is_in_force();
    if step == Step::Clearance && judgement.ruling() == Ruling::Pass {
        still_as_inspected(engine).await?;
    }
    Ok(Output::Judged(judgement))
}

/// It may have waited for days since the inspection, and somebody may have migrated by hand meanwhile.
async fn still_as_inspected<W: World>(engine: &mut Engine<'_, W>) -> Act<()> {
    let now = database::schema(engine).await?;
    if engine.journal.inspected().is_none_or(|inspected| inspected.current == now) {
        return Ok(());
    }
    Err(Cause::new("somebody has migrated the database since it was inspected")
        .hint("deploy again: it is inspected anew"))
}
