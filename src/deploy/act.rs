//! Which act belongs to which step: what it remembers before, what it does, what it sees afterwards.

use super::acts::{database, gates, link, restore, settle, slots, step_unit, units};
use super::engine::Engine;
use super::world::{Act, World};
use crate::model::journal::{Before, Output};
use crate::model::slot::Link;
use crate::model::step::Step;

/// What is seen of a step whose outcome is not on record.
pub enum Seen {
    /// It has done what it is for.
    Done(Output),
    /// It has had no effect, or one that doing it again makes whole.
    NotDone,
}

/// Takes down what is needed to redo, undo and observe the step. Changes nothing that matters.
pub async fn prepare<W: World>(engine: &mut Engine<'_, W>, step: Step) -> Act<Before> {
    match step {
        Step::Fetch
        | Step::Build
        | Step::Seal
        | Step::Inspect
        | Step::Backup
        | Step::Rehearse
        | Step::Load
        | Step::Migrate
        | Step::Probe
        | Step::Bake
        | Step::Reprobe
        | Step::Prune => step_unit::prepare(engine, step).await,
        Step::Stop | Step::Start | Step::Workers | Step::Halt | Step::Return | Step::ReturnWorkers => {
            Ok(Before::Units(units::now(engine).await?))
        }
        Step::Switch | Step::SwitchBack => Ok(Before::Link(engine.world.link(Link::Current).await?)),
        Step::Stage => slots::before(engine).await,
        Step::Fence => database::access(engine).await,
        Step::Swap => Ok(Before::Database(restore::quarantine(engine))),
        Step::Twin | Step::Restore => Ok(Before::Database(database::twin_name(engine))),
        Step::Gates
        | Step::Clearance
        | Step::HandOver
        | Step::Close
        | Step::Admit
        | Step::Open
        | Step::Settle
        | Step::Count
        | Step::Unfence
        | Step::Reopen => Ok(Before::Nothing),
    }
}

/// Does it.
pub async fn run<W: World>(engine: &mut Engine<'_, W>, step: Step, before: &Before) -> Act<Output> {
    match step {
        Step::Fetch
        | Step::Build
        | Step::Seal
        | Step::Inspect
        | Step::Backup
        | Step::Rehearse
        | Step::Load
        | Step::Migrate
        | Step::Probe
        | Step::Bake
        | Step::Reprobe
        | Step::Prune => step_unit::run(engine, step, before).await,
        Step::Gates | Step::Clearance => gates::ask(engine, step).await,
        Step::Stage => slots::stage(engine).await,
        Step::HandOver => slots::hand_over(engine).await,
        Step::Stop | Step::Halt => units::stop(engine, step).await,
        Step::Start => units::start_web(engine).await,
        Step::Workers => units::start_workers(engine).await,
        Step::Return => units::return_web(engine).await,
        Step::ReturnWorkers => units::return_workers(engine).await,
        Step::Switch => link::forward(engine).await,
        Step::SwitchBack => link::back(engine).await,
        Step::Close => link::door(engine, true).await,
        Step::Reopen => link::door(engine, false).await,
        Step::Fence => database::fence(engine).await,
        Step::Twin => database::twin(engine).await,
        Step::Admit => database::admit(engine).await,
        Step::Open => database::open(engine).await,
        Step::Restore => database::restore(engine).await,
        Step::Unfence => database::unfence(engine).await,
        Step::Settle => settle::settle(engine).await,
        Step::Swap => restore::swap(engine).await,
        Step::Count => restore::count(engine).await,
    }
}

/// Looks what came of it. Most acts of the core make something so whatever it was before; doing them again is how
/// they look. The others must not happen twice.
pub async fn look<W: World>(engine: &mut Engine<'_, W>, step: Step, before: &Before) -> Act<Seen> {
    match step {
        Step::Fetch
        | Step::Build
        | Step::Seal
        | Step::Inspect
        | Step::Backup
        | Step::Rehearse
        | Step::Load
        | Step::Migrate
        | Step::Probe
        | Step::Bake
        | Step::Reprobe
        | Step::Prune => step_unit::look(engine, step, before).await,
        Step::Start | Step::Return => units::look_started(engine, before).await,
        Step::Switch => link::look(engine).await,
        Step::Gates
        | Step::Clearance
        | Step::Stage
        | Step::HandOver
        | Step::Stop
        | Step::Halt
        | Step::Workers
        | Step::ReturnWorkers
        | Step::SwitchBack
        | Step::Close
        | Step::Reopen
        | Step::Fence
        | Step::Twin
        | Step::Swap
        | Step::Admit
        | Step::Open
        | Step::Restore
        | Step::Unfence
        | Step::Settle
        | Step::Count => Ok(Seen::NotDone),
    }
}
