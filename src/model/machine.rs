//! What is next. Pure: the journal goes in, one decision comes out.
//!
//! ```text
//!            ┌──────────────── Run(step) ───────────────┐
//!  accepted ─┤ fetch … inspect │ touched │ committed    ├─▶ deployed
//!            └───────┬─────────┴────┬────┴──────┬───────┘
//!                 a failure, an abort or a reboot in …
//!                    ▼              ▼           ▼
//!                 failed     Undo(step) …    needs-operator
//!                                   ▼
//!                        rolled-back / aborted, or needs-operator when an undo fails
//! ```
//!
//! An intent without an outcome is always looked at first: after a crash the world is asked, not the memory.

use super::fold::Progress;
use super::gates::Ruling;
use super::journal::{Before, Boot, Fact, Goal, Journal, Output, Restored};
use super::lane::Lane;
use super::names::ReleaseId;
use super::outcome::Verdict;
use super::slot::Slot;
use super::step::Step;

/// How often a step is tried, counting tries that a crash cut short.
pub const ATTEMPTS: usize = 3;

/// The next thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Write the intent, then do it.
    Run(Step),
    /// An intent has no outcome: see what came of it.
    Look(Step),
    /// The gates say not yet: rest until this moment (milliseconds since 1970, UTC), or until somebody does something,
    /// and then ask them again.
    Wait(Step, Option<i64>),
    /// Write the intent, then undo with this step.
    Undo(Step),
    /// It is settled.
    Finished(Verdict, Option<String>),
}

/// Why a deployment goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Failure(Step),
    Abort,
    Superseded(String),
    Reboot,
}

/// Decides from the journal alone.
#[must_use]
pub fn next(journal: &Journal) -> Next {
    if let Some(verdict) = journal.verdict() {
        return Next::Finished(verdict, None);
    }
    if let Some(step) = open(journal) {
        return Next::Look(step);
    }
    match trouble(journal) {
        None => forward(journal),
        Some(trouble) => backward(journal, &trouble),
    }
}

/// The steps that lie before this deployment, as far as they are known.
#[must_use]
pub fn plan(journal: &Journal) -> Vec<Step> {
    let goal = journal.order().map(|order| &order.goal);
    if matches!(goal, Some(Goal::Restore(_))) {
        return Step::restore_plan();
    }
    let kept = matches!(goal, Some(Goal::Release(_)));
    Step::plan(journal.inspected(), journal.lane(), kept, with_slots(journal))
}

/// Whether the new release is started beside the one that serves.
#[must_use]
pub fn with_slots(journal: &Journal) -> bool {
    journal.order().is_some_and(|order| order.slots)
}

/// Whether it was: then the old one runs as well, and nothing is stopped to go back.
#[must_use]
pub fn staged(journal: &Journal) -> bool {
    journal.touched(Step::Stage)
}

/// The slot that served before and the one of the new release. What runs where is true for one boot only: the next
/// one starts the first slot, from the link that is right.
#[must_use]
pub fn slots(journal: &Journal) -> (Slot, Slot) {
    let staged = journal.0.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Intent { step: Step::Stage, before: Before::Slot(old) } => Some((*old, &entry.boot)),
        _ => None,
    });
    let old = staged.filter(|(_, boot)| Some(*boot) == journal.last_boot()).map_or(Slot::A, |(old, _)| old);
    (old, old.other())
}

/// Whether the point is passed after which nothing is undone by itself. The intent counts, not its outcome: a door
/// that may have been open may have let somebody write.
#[must_use]
pub fn committed(journal: &Journal) -> bool {
    journal.touched(Step::Open) || journal.touched(Step::Settle)
}

/// Whether it is being undone, or will be.
#[must_use]
pub fn going_back(journal: &Journal) -> bool {
    trouble(journal).is_some()
}

/// Whether production may have felt it.
#[must_use]
pub fn touched(journal: &Journal) -> bool {
    journal.0.iter().any(|entry| matches!(&entry.fact, Fact::Intent { step, .. } if step.touches()))
}

/// The release this deployment makes live.
#[must_use]
pub fn release(journal: &Journal, own: ReleaseId) -> ReleaseId {
    match journal.order().map(|order| &order.goal) {
        Some(Goal::Release(kept)) => *kept,
        Some(Goal::Restore(restoring)) => restoring.release,
        _ => own,
    }
}

/// What must hold before the application's services may start at boot, while this deployment is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AtBoot {
    /// The link must point here, and the services may start.
    Link(Option<ReleaseId>),
    /// The link must point here, and the services must wait until the core has settled the database.
    Hold(Option<ReleaseId>),
}

/// Decides what the recovery unit does about an open deployment; `None`: nothing.
#[must_use]
pub fn at_boot(journal: &Journal, boot: &Boot, own: ReleaseId) -> Option<AtBoot> {
    if journal.verdict().is_some() || !touched(journal) || journal.last_boot() == Some(boot) {
        return None;
    }
    if committed(journal) {
        return Some(AtBoot::Link(Some(release(journal, own))));
    }
    let from = journal.order().and_then(|order| order.from);
    // Online, the old release lives on either schema, and the migration is one transaction.
    let half = journal.touched(Step::Migrate) && journal.lane() != Some(Lane::Online);
    let unsettled = half || journal.touched(Step::Swap);
    Some(if unsettled { AtBoot::Hold(from) } else { AtBoot::Link(from) })
}

/// The step whose intent has no outcome yet.
fn open(journal: &Journal) -> Option<Step> {
    let last = journal.0.iter().rev().find(|entry| entry.fact.step().is_some())?;
    match &last.fact {
        Fact::Intent { step, .. } => Some(*step),
        _ => None,
    }
}

/// The first reason to go back, if there is one.
fn trouble(journal: &Journal) -> Option<Trouble> {
    let mut boot: Option<&Boot> = None;
    let mut in_production = false;
    let mut beyond = false;
    for entry in &journal.0 {
        if boot.is_some_and(|boot| *boot != entry.boot) && in_production && !beyond {
            return Some(Trouble::Reboot);
        }
        boot = Some(&entry.boot);
        match &entry.fact {
            Fact::Intent { step, .. } => {
                in_production |= step.touches();
                beyond |= matches!(step, Step::Open | Step::Settle);
            }
            Fact::Failed { step, .. } if !step.is_optional() && !step.is_back() && *step != Step::Settle => {
                return Some(Trouble::Failure(*step));
            }
            Fact::AbortAsked { .. } if !beyond => return Some(Trouble::Abort),
            Fact::Superseded { by } if !beyond => return Some(Trouble::Superseded(by.clone())),
            Fact::Failed { .. }
            | Fact::AbortAsked { .. }
            | Fact::Superseded { .. }
            | Fact::Accepted(_)
            | Fact::Done { .. }
            | Fact::Void { .. }
            | Fact::Resumed
            | Fact::Retried { .. }
            | Fact::Felt(_)
            | Fact::Ended { .. } => {}
        }
    }
    // A step that crashed the machine or the core each time it was tried has failed, too.
    first_undone(journal, &plan(journal))
        .filter(|step| journal.attempts(*step) >= limit(journal, *step))
        .map(Trouble::Failure)
}

/// The first step whose outcome does not count. What lives in processes counts only if nothing before it in the
/// sequence was done again since: a start is void after the stop that precedes it.
fn first_undone(journal: &Journal, sequence: &[Step]) -> Option<Step> {
    let mut since = 0;
    for step in sequence {
        let at = journal.last(*step);
        if !holds(journal, *step) || (step.is_volatile() && at < since) {
            return Some(*step);
        }
        if step.is_volatile() {
            since = since.max(at);
        }
    }
    None
}

/// After the commit point a reboot makes volatile steps run again; those runs are not failures.
fn limit(journal: &Journal, step: Step) -> usize {
    if committed(journal) && step.is_volatile() { 2 * ATTEMPTS } else { ATTEMPTS }
}

/// Whether the step's outcome still counts.
fn holds(journal: &Journal, step: Step) -> bool {
    match journal.progress(step) {
        Progress::Done(Output::Judged(judgement)) => judgement.ruling() == Ruling::Pass,
        Progress::Done(_) => !step.is_volatile() || journal.boot_of(step) == journal.last_boot(),
        Progress::Failed(_) => step.is_optional(),
        Progress::NotYet | Progress::Open(_) => false,
    }
}

fn forward(journal: &Journal) -> Next {
    if let (Some(order), Some(fetched)) = (journal.order(), journal.fetched())
        && !order.force
        && order.from_revision.as_ref() == Some(&fetched.revision)
    {
        return Next::Finished(
            Verdict::Deployed,
            Some(format!("{} is live already: nothing to do", fetched.revision.short())),
        );
    }
    match first_undone(journal, &plan(journal)) {
        Some(step) => ruled(journal, step),
        None => Next::Finished(Verdict::Deployed, None),
    }
}

/// A step that does not hold is run; but the gates may have answered already.
fn ruled(journal: &Journal, step: Step) -> Next {
    let Progress::Done(Output::Judged(judgement)) = journal.progress(step) else { return Next::Run(step) };
    match judgement.ruling() {
        Ruling::Wait(until) => Next::Wait(step, until),
        Ruling::Refuse => Next::Finished(Verdict::Refused, Some(judgement.words())),
        Ruling::Pass => Next::Run(step),
    }
}

fn backward(journal: &Journal, trouble: &Trouble) -> Next {
    if !touched(journal) {
        return match trouble {
            Trouble::Abort => Next::Finished(Verdict::Aborted, Some("production was never touched".to_owned())),
            Trouble::Superseded(by) => {
                Next::Finished(Verdict::Superseded, Some(format!("a newer order came from {by} while this one waited")))
            }
            Trouble::Failure(_) | Trouble::Reboot => Next::Finished(Verdict::Failed, None),
        };
    }
    if committed(journal) {
        let why = "requests were already let in, so nothing is undone by itself: writes may have been accepted since";
        return Next::Finished(Verdict::NeedsOperator, Some(why.to_owned()));
    }
    if let Some(step) = first_undone(journal, &undo(journal)) {
        if journal.attempts(step) >= ATTEMPTS && !step.is_optional() {
            return Next::Finished(
                Verdict::NeedsOperator,
                Some(format!("step {} of the rollback failed", step.word())),
            );
        }
        return Next::Undo(step);
    }
    if let Some(Output::Restored(Restored::HandedOver)) = journal.output(Step::Restore) {
        let why = "the migration has changed the schema and there is no twin to go back to";
        return Next::Finished(Verdict::NeedsOperator, Some(why.to_owned()));
    }
    match trouble {
        Trouble::Abort | Trouble::Superseded(_) => Next::Finished(Verdict::Aborted, None),
        Trouble::Failure(_) | Trouble::Reboot => Next::Finished(Verdict::RolledBack, None),
    }
}

/// What makes it as it was, in order. A step that may have had an effect is undone, whether it succeeded or not.
#[must_use]
pub fn undo(journal: &Journal) -> Vec<Step> {
    let was = |step| journal.touched(step);
    let had_release = journal.order().is_some_and(|order| order.from.is_some());
    let mut steps = Vec::new();
    let mut when = |condition: bool, step: Step| {
        if condition {
            steps.push(step);
        }
    };
    if staged(journal) {
        // Requests first: the old slot still runs, and takes them back before the new one is stopped.
        // One that dies again and again would take the processor from the one that is probed.
        when(true, Step::Return);
        when(true, Step::Halt);
        when(was(Step::Migrate), Step::Restore);
        when(true, Step::SwitchBack);
        when(true, Step::Reprobe);
        when(was(Step::Stop), Step::ReturnWorkers);
        return steps;
    }
    when(was(Step::Stop), Step::Halt);
    when([Step::Twin, Step::Migrate, Step::Load].into_iter().any(was), Step::Restore);
    when(was(Step::Switch), Step::SwitchBack);
    when(was(Step::Fence), Step::Unfence);
    when(was(Step::Stop) && had_release, Step::Return);
    // Online, the old release may never have stopped, and is shown to be healthy all the same.
    let online = was(Step::Migrate) && journal.lane() == Some(Lane::Online);
    when((was(Step::Stop) || online) && had_release, Step::Reprobe);
    when(was(Step::Close), Step::Reopen);
    when(was(Step::Stop) && had_release, Step::ReturnWorkers);
    // When everything runs again there is time for it.
    when(matches!(journal.output(Step::Restore), Some(Output::Restored(Restored::SwappedBack { .. }))), Step::Count);
    steps
}
