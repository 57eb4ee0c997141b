//! Fence, twin, admit, open, restore, unfence: what the core itself does to PostgreSQL, in the fenced lane.

use crate::config::Migrations;
use crate::database::Aside;
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, World};
use crate::model::edited::{self, Edited};
use crate::model::going_back::{NEVER_MIGRATES, not_proven};
use crate::model::journal::{Before, Cause, Goal, Inspected, Output, Restored};
use crate::model::lane::Lane;
use crate::model::names::{SchemaRevision, Sha, words};
use crate::model::request::Work;
use crate::model::rollback::{self, Facts, Move};
use crate::model::step::Step;

/// The twin of this deployment.
pub fn twin_name<W: World>(engine: &Engine<'_, W>) -> String {
    Aside::twin(database_name(engine), engine.id).name().to_owned()
}

pub(super) fn quarantine_name<W: World>(engine: &Engine<'_, W>) -> String {
    Aside::quarantine(database_name(engine), engine.id).name().to_owned()
}

/// The database in which this deployment makes a backup ready.
pub(super) fn restored_name<W: World>(engine: &Engine<'_, W>) -> String {
    Aside::restored(database_name(engine), engine.id).name().to_owned()
}

fn database_name<'e, W: World>(engine: &'e Engine<'_, W>) -> &'e str {
    engine.settings.database.as_ref().map(|database| database.name.as_str()).unwrap_or_default()
}

/// The revisions the live database is at; none without a database.
pub async fn schema<W: World>(engine: &mut Engine<'_, W>) -> Act<Vec<SchemaRevision>> {
    if engine.settings.database.is_some() { engine.world.schema().await } else { Ok(Vec::new()) }
}

/// Where the migration must end.
pub fn target<W: World>(engine: &Engine<'_, W>) -> Vec<SchemaRevision> {
    engine.journal.inspected().map(|inspected| inspected.target.clone()).unwrap_or_default()
}

/// Where a rollback left the schema.
pub fn left_at<W: World>(engine: &Engine<'_, W>) -> Vec<SchemaRevision> {
    match engine.journal.output(Step::Restore) {
        Some(Output::Restored(Restored::Ahead { revisions })) => revisions.clone(),
        _ => engine.journal.inspected().map(|inspected| inspected.current.clone()).unwrap_or_default(),
    }
}

/// What is to be inspected: a release of commit `revision` on this schema.
pub async fn inspect<W: World>(
    engine: &mut Engine<'_, W>,
    current: Vec<SchemaRevision>,
    revision: Option<Sha>,
) -> Act<Work> {
    let proven = match revision {
        Some(revision) if !current.is_empty() => engine.world.proven_on(&revision, &current).await?,
        _ => false,
    };
    Ok(Work::Inspect { current, proven })
}

/// What must be true of the database before a migration, found out while nothing has happened yet.
pub async fn preflight<W: World>(engine: &mut Engine<'_, W>, inspected: &Inspected) -> Act<()> {
    // A release that is kept is what it was when it was live.
    if matches!(engine.journal.order().map(|order| &order.goal), Some(Goal::Revision(_))) {
        unedited(engine, inspected).await?;
    }
    if inspected.pending.is_empty() {
        return Ok(());
    }
    engine.world.preflight(inspected.lane).await?;
    if inspected.backup {
        return Ok(());
    }
    engine.world.proven_backup(&inspected.current).await.map(|_| ())
}

async fn unedited<W: World>(engine: &mut Engine<'_, W>, inspected: &Inspected) -> Act<()> {
    let Some(Edited { script, ran }) = edited::first(inspected, &engine.world.earlier().await?) else { return Ok(()) };
    let what = format!("migration {} has run here, and its file is another one now: {}", script.revision, script.file);
    let from = ran.map_or_else(|| "REVISION".to_owned(), |sha| sha.short().to_owned());
    let hint = format!("git checkout {from} -- {}; what is to change belongs into a new migration", script.file);
    Err(Cause::new(what).hint(hint))
}

fn is_kept<W: World>(engine: &Engine<'_, W>) -> bool {
    matches!(engine.journal.order().map(|order| &order.goal), Some(Goal::Release(_)))
}

/// A kept release may only be made live on a schema that it knows: its migrations never run again.
pub fn admissible<W: World>(engine: &Engine<'_, W>, inspected: &Inspected) -> Act<()> {
    if let Some(restoring) = super::restore::goal(engine) {
        return super::restore::fits(restoring, inspected);
    }
    if is_kept(engine) && inspected.lane != Lane::Code {
        let first = inspected.pending.first().map(|pending| pending.revision.to_string()).unwrap_or_default();
        let what = format!("release {} wants migrations that have not run (first: {first})", engine.release());
        return Err(Cause::new(what).hint(NEVER_MIGRATES));
    }
    Ok(())
}

/// What an inspection that fails means for somebody who wants to go back: old code on a schema that it was never
/// tried on, which is not done by itself.
pub fn not_back<W: World>(engine: &Engine<'_, W>, cause: Cause) -> Cause {
    if let Some(restoring) = super::restore::goal(engine) {
        return super::restore::does_not_know(restoring, cause);
    }
    if is_kept(engine) { not_proven(cause) } else { cause }
}

/// After a migration the database must be where the release wants it, whatever the tool's exit status said.
pub async fn arrived<W: World>(engine: &mut Engine<'_, W>) -> Act<()> {
    let named = matches!(
        engine.settings.database.as_ref().map(|database| &database.migrations),
        Some(Migrations::Alembic { .. })
    );
    if !named {
        return Ok(());
    }
    let (mut want, mut have) = (target(engine), schema(engine).await?);
    want.sort();
    have.sort();
    if want == have {
        return Ok(());
    }
    Err(Cause::new(format!(
        "the migration ended without an error, but at {} and not at {}",
        words(&have),
        words(&want)
    )))
}

/// The access list before any fence of this deployment.
pub async fn access<W: World>(engine: &mut Engine<'_, W>) -> Act<Before> {
    match engine.journal.first_before(Step::Fence) {
        Some(before @ Before::Access(_)) => Ok(before.clone()),
        _ => Ok(Before::Access(engine.world.access().await?)),
    }
}

pub(super) fn original<W: World>(engine: &Engine<'_, W>) -> Option<String> {
    match engine.journal.first_before(Step::Fence) {
        Some(Before::Access(access)) => access.clone(),
        _ => None,
    }
}

/// Shuts everybody out but the migration.
pub async fn fence<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let ended = engine.world.fence().await?;
    Ok(Output::Fenced { ended })
}

/// Makes the rollback point.
pub async fn twin<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let again = engine.journal.attempts(Step::Twin) > 1;
    let snapshot = Some(engine.world.moment().await?);
    engine.world.twin(again).await?;
    Ok(Output::Twinned { database: twin_name(engine), snapshot })
}

/// Lets the application in again, behind the closed door.
pub async fn admit<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    engine.world.admit().await?;
    Ok(Output::Nothing)
}

/// The commit point: from the intent of this step on, writes of clients may be in the database.
pub async fn open<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let original = original(engine);
    engine.world.unfence(original.as_deref()).await?;
    engine.world.set_door(false).await?;
    Ok(Output::Nothing)
}

/// Decides from facts what becomes of the database, and does it.
pub async fn restore<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    if super::restore::goal(engine).is_some() {
        return super::restore::revert(engine).await;
    }
    engine.world.settle_migration().await?;
    // An earlier attempt may have swapped already; calling again finishes what it left.
    let verdict = if engine.world.has_quarantine().await? { Move::SwapBack } else { decide(engine).await? };
    match verdict {
        Move::Unchanged => {
            if engine.journal.touched(Step::Twin) {
                engine.world.drop_twin().await?;
            }
            Ok(Output::Restored(Restored::Unchanged))
        }
        Move::SwapBack => {
            let original = original(engine);
            engine.world.swap_back(original.as_deref()).await?;
            Ok(Output::Restored(Restored::SwappedBack { quarantine: quarantine_name(engine) }))
        }
        Move::Ahead => Ok(Output::Restored(Restored::Ahead { revisions: target(engine) })),
        Move::ByHand => Ok(Output::Restored(Restored::HandedOver)),
    }
}

/// Gathers the facts for the decision, and looks at the schema only if it can matter.
async fn decide<W: World>(engine: &mut Engine<'_, W>) -> Act<Move> {
    let Some(inspected) = engine.journal.inspected().cloned() else { return Ok(Move::Unchanged) };
    let Some(lane) = engine.journal.lane() else { return Ok(Move::Unchanged) };
    let migrated = engine.journal.touched(Step::Migrate);
    // What the new release did when it was started is in no fingerprint.
    let started = engine.journal.touched(Step::Start) || engine.journal.touched(Step::Stage);
    let tool = engine.settings.database.as_ref().map(|database| &database.migrations);
    let transactional = !started && tool.is_some_and(Migrations::is_transactional);
    let now = if migrated && transactional { Some(engine.world.fingerprint().await?) } else { None };
    let arrived = migrated && lane == Lane::Online && arrived(engine).await.is_ok();
    Ok(rollback::decide(&inspected, &Facts { lane, migrated, now: now.as_deref(), arrived, transactional }))
}

/// Gives everybody the right to connect back.
pub async fn unfence<W: World>(engine: &mut Engine<'_, W>) -> Act<Output> {
    let original = original(engine);
    engine.world.unfence(original.as_deref()).await?;
    Ok(Output::Nothing)
}
