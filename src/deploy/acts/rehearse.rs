//! Rehearse: from which backup, and what follows from the report.

use crate::config::MigrationLane;
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::journal::{Cause, Output};
use crate::model::lane::{self, Lane};
use crate::model::names::{BackupName, Sha};
use crate::model::rehearsal::Rehearsal;
use crate::model::request::{Old, Work};
use crate::model::step::Step;
use crate::model::window;

use super::database;

/// What the step is asked.
pub async fn request<W: World>(engine: &mut Engine<'_, W>, revision: Sha) -> Act<Work> {
    let order = engine.journal.order();
    let old = order.and_then(|order| Some(Old { release: order.from?, revision: order.from_revision.clone() }));
    Ok(Work::Rehearse { backup: backup(engine).await?, target: database::target(engine), revision, old })
}

/// The deployment's own backup, or the newest proven one where it makes none.
async fn backup<W: World>(engine: &mut Engine<'_, W>) -> Act<BackupName> {
    match engine.journal.output(Step::Backup) {
        Some(Output::BackedUp { name, .. }) => name.parse().map_err(|bad| Cause::new(format!("{bad}"))),
        _ => {
            let schema = engine.journal.inspected().map(|inspected| inspected.current.clone()).unwrap_or_default();
            engine.world.proven_backup(&schema).await
        }
    }
}

/// Chooses the lane.
pub async fn conclude<W: World>(engine: &mut Engine<'_, W>, mut rehearsal: Box<Rehearsal>) -> Act<Output> {
    let (Some(inspected), Some(database)) = (engine.journal.inspected(), &engine.settings.database) else {
        return Ok(Output::Rehearsed(rehearsal));
    };
    let budget = u64::try_from(database.lock_budget.as_millis()).unwrap_or(u64::MAX);
    let transactional = database.migrations.is_transactional();
    rehearsal.against = lane::against_online(&rehearsal, &inspected.pending, transactional, budget);
    if database.lane == MigrationLane::Fenced {
        rehearsal.against.push("the settings say so".to_owned());
    }
    let growth = rehearsal.migration.peak + rehearsal.migration.log_bytes;
    if rehearsal.against.is_empty() {
        rehearsal.lane = Lane::Online;
        engine.world.room(growth).await?;
        return Ok(Output::Rehearsed(rehearsal));
    }
    rehearsal.lane = Lane::Fenced;
    engine.world.room(rehearsal.database_bytes + growth).await?;
    let limit = database.max_window.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    let attended = engine.journal.order().is_none_or(|order| !order.trigger.is_automatic());
    let expected = window::predict(&rehearsal, &engine.world.earlier().await?);
    rehearsal.window = Some(expected);
    match limit.filter(|limit| expected.predicted > *limit && !attended) {
        Some(limit) => Err(too_long(expected.predicted, limit)),
        None => Ok(Output::Rehearsed(rehearsal)),
    }
}

fn too_long(expected: u64, limit: u64) -> Cause {
    let (expected, limit) = (lane::seconds(expected), lane::seconds(limit));
    let what = format!("production would stand still for {expected}, and nobody asked for that: {limit} are allowed");
    Cause::new(what).hint("`tsh-agent deploy REVISION` by a person goes on; database.max_window is the limit")
}

/// Whether the live schema is the one that was rehearsed; an old release that serves was proven on no other.
pub async fn as_rehearsed<W: World>(engine: &mut Engine<'_, W>) -> Act<()> {
    if engine.journal.lane() != Some(Lane::Online) {
        return Ok(());
    }
    let (Some(rehearsal), Some(inspected)) = (engine.journal.rehearsed().cloned(), engine.journal.inspected()) else {
        return Ok(());
    };
    // A copy that was not quite the same before cannot tell what it should be afterwards.
    if inspected.fingerprint.as_deref() != Some(&rehearsal.before) {
        return Ok(());
    }
    if engine.world.fingerprint().await? == rehearsal.after {
        return Ok(());
    }
    let what = "the migration made another schema than in the rehearsal";
    Err(Cause::new(what).hint("it does something that depends on the server, the moment or the rows"))
}
