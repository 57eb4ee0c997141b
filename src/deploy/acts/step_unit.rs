//! Steps that run as a unit of their own: what they are asked, and how their run is told from an earlier one.

use std::path::Path;

use super::{alike, database, rehearse, restore, slots, units};
use crate::config::Role;
use crate::deploy::act::Seen;
use crate::deploy::engine::Engine;
use crate::deploy::world::{Act, StepNow, Vigil, World};
use crate::model::journal::{Before, Cause, Goal, Output, UnitWas};
use crate::model::lane::Lane;
use crate::model::machine;
use crate::model::names::{ReleaseId, SchemaRevision, Sha};
use crate::model::request::{Report, Request, Watched, Work};
use crate::model::slot::Slot;
use crate::model::step::Step;

/// Below this, nothing is begun: a full disk harms more than a late release.
pub const SPACE: u64 = 256 << 20;

fn kind(step: Step) -> &'static str {
    step.unit_kind().unwrap_or_default()
}

/// Acknowledges the unit's last run, so that the next one can be told from it.
pub async fn prepare<W: World>(engine: &mut Engine<'_, W>, step: Step) -> Act<Before> {
    Ok(Before::Unit(engine.world.clear_step(kind(step)).await?))
}

/// Asks, starts, waits.
pub async fn run<W: World>(engine: &mut Engine<'_, W>, step: Step, before: &Before) -> Act<Output> {
    if matches!(step, Step::Fetch | Step::Build | Step::Seal) {
        enough_space(engine).await?;
    }
    if step == Step::Inspect {
        units_exist(engine).await?;
    }
    if step == Step::Load {
        restore::make_room(engine).await?;
    }
    if step == Step::Inspect
        && let Some(inspected) = alike::inspected(engine).await?
    {
        return conclude(engine, step, Report::Done(Output::Inspected(inspected))).await;
    }
    let request = request(engine, step).await?;
    engine.world.begin_step(kind(step), &request).await?;
    finish(engine, step, before).await
}

/// Attaches to the run, if there is one that counts.
pub async fn look<W: World>(engine: &mut Engine<'_, W>, step: Step, before: &Before) -> Act<Seen> {
    match engine.world.look_step(kind(step), invocation(before)).await? {
        StepNow::Idle if step == Step::Migrate && engine.journal.boot_of(step) != engine.journal.last_boot() => {
            Err(Cause::new("the machine restarted during the migration"))
        }
        StepNow::Idle => Ok(Seen::NotDone),
        StepNow::Running(_) => Ok(Seen::Done(finish(engine, step, before).await?)),
        StepNow::Ended(_, report) => Ok(Seen::Done(conclude(engine, step, *report).await?)),
    }
}

async fn finish<W: World>(engine: &mut Engine<'_, W>, step: Step, before: &Before) -> Act<Output> {
    let watched = vigils(engine, step).await?;
    let report = engine.world.finish_step(kind(step), invocation(before), &watched).await?;
    conclude(engine, step, report).await
}

pub fn invocation(before: &Before) -> &String {
    static NONE: String = String::new();
    match before {
        Before::Unit(invocation) => invocation,
        _ => &NONE,
    }
}

/// Turns the report into the outcome; adds what only the core can know.
async fn conclude<W: World>(engine: &mut Engine<'_, W>, step: Step, report: Report) -> Act<Output> {
    let out = match report {
        Report::Done(out) => out,
        Report::Failed(cause) if step == Step::Inspect => return Err(database::not_back(engine, cause)),
        Report::Failed(cause) if step == Step::Load => return Err(restore::give_up(engine, cause).await),
        Report::Failed(cause) => return Err(cause),
    };
    match (step, out) {
        (Step::Inspect, Output::Inspected(mut inspected)) => {
            database::admissible(engine, &inspected)?;
            database::preflight(engine, &inspected).await?;
            if engine.settings.database.is_some() {
                inspected.fingerprint = Some(engine.world.fingerprint().await?);
            }
            Ok(Output::Inspected(inspected))
        }
        (Step::Rehearse, Output::Rehearsed(rehearsal)) => rehearse::conclude(engine, rehearsal).await,
        (Step::Migrate, out) => {
            engine.world.settle_migration().await?;
            database::arrived(engine).await?;
            rehearse::as_rehearsed(engine).await?;
            Ok(out)
        }
        (Step::Probe | Step::Reprobe | Step::Bake, out) => {
            unchanged(engine, &watched(engine, step)).await?;
            Ok(out)
        }
        (Step::Prune, out) => {
            engine.world.forget_old_databases().await?;
            Ok(out)
        }
        (_, out) => Ok(out),
    }
}

/// The units whose death ends the step at once.
fn watched<W: World>(engine: &Engine<'_, W>, step: Step) -> Vec<UnitWas> {
    match step {
        Step::Probe => units::started(engine, &[Step::Stage, Step::Start]),
        Step::Bake => units::started(engine, &[Step::Stage, Step::Start, Step::Workers]),
        Step::Reprobe => units::started(engine, &[Step::Return]),
        _ => Vec::new(),
    }
}

/// The same with what errors count against: while the release bakes in one slot, the other knows what is usual.
async fn vigils<W: World>(engine: &mut Engine<'_, W>, step: Step) -> Act<Vec<Vigil>> {
    let usual = if step == Step::Bake && machine::staged(&engine.journal) {
        let old = slots::unit(engine, machine::slots(&engine.journal).0)?;
        Some(engine.world.unit(&old).await?.told.unwrap_or_default())
    } else {
        None
    };
    let slot = |was: &UnitWas| engine.settings.is_slot(&was.name);
    Ok(watched(engine, step).into_iter().map(|was| Vigil { usual: usual.filter(|_| slot(&was)), was }).collect())
}

/// The same runs as at the start, without restarts.
async fn unchanged<W: World>(engine: &mut Engine<'_, W>, watched: &[UnitWas]) -> Act<()> {
    for was in watched {
        let now = engine.world.unit(&was.name).await?;
        if !now.up || now.invocation != was.invocation || now.restarts != was.restarts {
            return Err(units::died(&was.name, &now));
        }
    }
    Ok(())
}

pub async fn request<W: World>(engine: &mut Engine<'_, W>, step: Step) -> Act<Request> {
    let release = match step {
        Step::Reprobe => from(engine)?,
        _ => engine.release(),
    };
    let work = match step {
        Step::Fetch => {
            let order = engine.journal.order();
            let on_branch = order.is_some_and(|order| order.trigger.is_automatic());
            let running = order.and_then(|order| order.from_revision.clone());
            Work::Fetch { wanted: wanted(engine), on_branch, running }
        }
        Step::Gates | Step::Clearance => Work::Gates { revision: revision(engine)? },
        Step::Build => Work::Build { revision: revision(engine)? },
        Step::Seal => Work::Seal { revision: revision(engine)? },
        Step::Inspect => {
            let current = match restore::goal(engine).map(|restoring| restoring.schema.clone()) {
                Some(schema) => schema,
                None => database::schema(engine).await?,
            };
            let revision = revision(engine).ok();
            database::inspect(engine, current, revision).await?
        }
        Step::Load => match restore::goal(engine) {
            Some(restoring) => Work::Restore { backup: restoring.backup.clone() },
            None => return Err(Cause::new("there is no backup to restore")),
        },
        Step::Backup => {
            let order = engine.journal.order();
            let (running, revision) = order.map(|order| (order.from, order.from_revision.clone())).unwrap_or_default();
            Work::Backup { running, revision, quarantine: None }
        }
        Step::Rehearse => {
            let revision = revision(engine)?;
            rehearse::request(engine, revision).await?
        }
        Step::Migrate => {
            let online = engine.journal.lane() == Some(Lane::Online);
            Work::Migrate { target: database::target(engine), online }
        }
        Step::Probe => {
            let slot = machine::staged(&engine.journal).then(|| machine::slots(&engine.journal).1);
            let units = watched(engine, step);
            probe(engine, units, revision(engine).ok(), database::target(engine), None, slot).await?
        }
        Step::Bake => {
            let bake = u64::try_from(engine.settings.probe.bake.as_millis()).unwrap_or(u64::MAX);
            let units = watched(engine, step);
            probe(engine, units, revision(engine).ok(), database::target(engine), Some(bake), None).await?
        }
        Step::Reprobe => {
            let old = engine.journal.order().and_then(|order| order.from_revision.clone());
            let slot = machine::staged(&engine.journal).then(|| machine::slots(&engine.journal).0);
            let units = watched(engine, step);
            probe(engine, units, old, database::left_at(engine), None, slot).await?
        }
        Step::Prune => {
            let mut keep = engine.world.kept().await?;
            keep.push(release);
            Work::Prune { keep }
        }
        _ => return Err(Cause::new(format!("step {} has no unit", step.word()))),
    };
    Ok(Request { deployment: engine.id, release, work })
}

fn wanted<W: World>(engine: &Engine<'_, W>) -> Option<crate::model::names::Wanted> {
    match engine.journal.order().map(|order| &order.goal) {
        Some(Goal::Revision(wanted)) => wanted.clone(),
        _ => None,
    }
}

/// The commit of the release that is made live: just fetched, or remembered from when it was built.
pub fn revision<W: World>(engine: &Engine<'_, W>) -> Act<Sha> {
    let kept = engine.journal.order().and_then(|order| order.revision.clone());
    let fetched = engine.journal.fetched().map(|fetched| fetched.revision.clone());
    fetched.or(kept).ok_or_else(|| Cause::new("the revision of the release is not on record"))
}

fn from<W: World>(engine: &Engine<'_, W>) -> Act<ReleaseId> {
    let from = engine.journal.order().and_then(|order| order.from);
    from.ok_or_else(|| Cause::new("there was no release before this one"))
}

async fn probe<W: World>(
    engine: &mut Engine<'_, W>,
    units: Vec<UnitWas>,
    revision: Option<Sha>,
    schema: Vec<SchemaRevision>,
    bake: Option<u64>,
    slot: Option<Slot>,
) -> Act<Work> {
    let mut watched = Vec::new();
    for unit in units {
        let pid = engine.world.unit(&unit.name).await?.pid;
        let timer = engine.settings.units(Role::Timer).any(|name| *name == unit.name);
        watched.push(Watched { unit: unit.name, pid: if timer { 0 } else { pid } });
    }
    Ok(Work::Probe { units: watched, revision, schema, bake, slot })
}

async fn enough_space<W: World>(engine: &mut Engine<'_, W>) -> Act<()> {
    for (place, free) in engine.world.space().await? {
        if free < SPACE {
            return Err(full(&place, free));
        }
    }
    Ok(())
}

fn full(place: &Path, free: u64) -> Cause {
    let what = format!("only {} MiB are free on {}; at least {} are needed", free >> 20, place.display(), SPACE >> 20);
    Cause::new(what).hint(format!("make room: `du -xh --max-depth=2 {} | sort -h | tail`", place.display()))
}

async fn units_exist<W: World>(engine: &mut Engine<'_, W>) -> Act<()> {
    let names: Vec<_> = engine.settings.all_units().cloned().collect();
    for name in names {
        let unit = engine.world.unit(&name).await?;
        if !unit.known {
            let what = format!("{name} cannot be started: {}", unit.words);
            let hint = format!(
                "`systemctl cat {name}` shows it; it is named under [service] in {}",
                crate::paths::settings(&engine.settings.app).display()
            );
            return Err(Cause::new(what).hint(hint));
        }
    }
    Ok(())
}
