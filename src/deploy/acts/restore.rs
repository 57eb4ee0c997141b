//! Load, swap, count: a backup takes the live database's place, and what leaves is told.

use super::database::{original, quarantine_name};
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::journal::{Cause, Goal, Inspected, Output, Restored, Restoring};
use crate::model::names::{ReleaseId, words};
use crate::model::step::Step;

/// What is restored, if this deployment restores.
pub fn goal<'e, W: World>(engine: &'e Engine<'_, W>) -> Option<&'e Restoring> {
    match engine.journal.order().map(|order| &order.goal) {
        Some(Goal::Restore(restoring)) => Some(restoring),
        _ => None,
    }
}

/// The name under which the database is kept that is live now.
pub fn quarantine<W: World>(engine: &Engine<'_, W>) -> String {
    quarantine_name(engine)
}

/// The release must know the schema of the backup as it is: a restore never migrates.
pub fn fits(restoring: &Restoring, inspected: &Inspected) -> Act<()> {
    let Some(first) = inspected.pending.first() else { return Ok(()) };
    let what = format!(
        "release {} wants migrations that the backup has not (first: {}): the backup is at {}",
        restoring.release,
        first.revision,
        words(&restoring.schema)
    );
    Err(hint(restoring, Cause::new(what)))
}

/// The release could not be inspected against the schema of the backup.
pub fn does_not_know(restoring: &Restoring, mut cause: Cause) -> Cause {
    cause.what = format!("release {} does not fit the backup: {}", restoring.release, cause.what);
    hint(restoring, cause)
}

fn hint(restoring: &Restoring, cause: Cause) -> Cause {
    let Restoring { backup, release, running, .. } = restoring;
    match running.filter(|running| running != release) {
        Some(ReleaseId(fits)) => cause.hint(format!(
            "release {fits} ran when it was taken: `tsh-agent backup restore {backup} --release {fits}`"
        )),
        None => cause.hint("`tsh-agent history` shows releases; --release names the one that is to run on it"),
    }
}

/// Before the load: the empty database, made anew, for nothing is known about one that an attempt has left.
pub async fn make_room<W: World>(engine: &mut Engine<'_, W>) -> Act<()> {
    let Some(Restoring { backup, .. }) = goal(engine).cloned() else {
        return Err(Cause::new("there is no backup to restore"));
    };
    engine.world.make_room(&backup).await
}

/// After a load that failed: half a copy of production's rows is of no use to anybody. Should this fail, too, the next
/// pruning forgets it.
pub async fn give_up<W: World>(engine: &mut Engine<'_, W>, mut cause: Cause) -> Cause {
    if let Err(left) = engine.world.drop_restored().await {
        cause.tail.push(format!("what was restored so far could not be removed yet: {}", left.what));
    }
    cause
}

/// The restored database becomes the live one.
pub async fn swap<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let original = original(engine);
    engine.world.swap_in(original.as_deref()).await?;
    Ok(Output::Swapped { quarantine: quarantine_name(engine) })
}

/// Whatever was swapped is swapped back, and what was only restored goes.
pub async fn revert<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let (original, swapped) = (original(engine), engine.journal.touched(Step::Swap));
    if swapped && engine.world.has_quarantine().await? {
        engine.world.swap_out(original.as_deref()).await?;
    }
    match engine.journal.output(Step::Swap) {
        // It was live: the application may have written to it, though nobody was let in.
        Some(Output::Swapped { .. }) => {
            let aside = super::database::restored_name(engine);
            Ok(Output::Restored(Restored::Reverted { aside }))
        }
        _ => {
            engine.world.drop_restored().await?;
            Ok(Output::Restored(Restored::Unchanged))
        }
    }
}

/// Counts what only the database has that was kept aside.
pub async fn count<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let (snapshot, backup) = match goal(engine).cloned() {
        Some(Restoring { snapshot, backup, .. }) => (snapshot, Some(backup)),
        None => match engine.journal.output(Step::Twin) {
            Some(Output::Twinned { snapshot, .. }) => (snapshot.clone(), None),
            _ => (None, None),
        },
    };
    let tables = engine.world.count_aside(snapshot.as_deref(), backup.as_ref()).await?;
    Ok(Output::Counted { quarantine: quarantine_name(engine), tables })
}
