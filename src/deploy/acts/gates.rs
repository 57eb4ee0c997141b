//! Gates and clearance: the facts are gathered here, and judged in the model.

use super::{database, step_unit};
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::gates::approval::Asked;
use crate::model::gates::outside::Outside;
use crate::model::gates::{self, Facts, Ruling};
use crate::model::journal::{Before, Cause, Output};
use crate::model::request::Report;
use crate::model::step::Step;

/// The gates' own unit, which asks who is outside; the core has no network.
const UNIT: &str = "gates";

/// Asks every gate.
pub async fn ask<W: World>(engine: &mut Engine<'_, W>, step: Step) -> Act<Output> {
    let revision = step_unit::revision(engine)?;
    let outside = look_outside(engine, step).await?;
    let configuration = engine.settings.digest();
    let configuration_now = match engine.settings.gates.approval {
        Some(_) => engine.world.configuration().await?,
        None => configuration.clone(),
    };
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
        outside: outside.as_ref(),
        asked: Some(Asked {
            deployment: engine.id,
            by: &order.by,
            trigger: order.trigger.word(),
            pending: engine.journal.inspected().map(|inspected| inspected.pending.as_slice()),
            configuration: &configuration,
            configuration_now: &configuration_now,
            decision: standing.decision.as_ref(),
        }),
        before: engine.journal.judged(),
    };
    let mut judgement = gates::judge(&facts);
    judgement.keep_what_is_in_force();
    if step == Step::Clearance && judgement.ruling() == Ruling::Pass {
        still_as_inspected(engine).await?;
    }
    Ok(Output::Judged(judgement))
}

/// Has the gates' unit ask, if there is anything to ask. It only looks, so a run that a crash has cut off from us is
/// stopped and begun again.
async fn look_outside<W: World>(engine: &mut Engine<'_, W>, step: Step) -> Act<Option<Outside>> {
    if !engine.settings.gates.look_outside() {
        return Ok(None);
    }
    let before = Before::Unit(engine.world.clear_step(UNIT).await?);
    let request = step_unit::request(engine, step).await?;
    engine.world.begin_step(UNIT, &request).await?;
    match engine.world.finish_step(UNIT, step_unit::invocation(&before), &[]).await? {
        Report::Done(Output::Outside(outside)) => Ok(Some(*outside)),
        Report::Done(_) => Err(Cause::new("the gates' unit answered something else")),
        Report::Failed(cause) => Err(cause),
    }
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
