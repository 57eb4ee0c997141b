//! One part of a care: the start protocol of a step, with the care's own record as its journal.

use crate::deploy::world::{StepNow, World};
use crate::host::machine::now;
use crate::model::care::{Care, Part, Progress};
use crate::model::journal::{Cause, Output};
use crate::model::request::{Report, Request, Work};
use crate::store::StoreError;

/// Keeps the record, durably.
pub trait Record {
    /// Writes it whole.
    async fn keep(&mut self, care: &Care) -> Result<(), StoreError>;
}

/// Runs the part's unit, or goes on with one that runs. `work` tells what the unit is asked; nothing: there is nothing
/// to do.
pub async fn take<W: World, R: Record>(
    world: &mut W,
    record: &mut R,
    care: &mut Care,
    part: Part,
    work: impl Future<Output = Result<Option<Work>, Cause>>,
) -> Result<Result<Output, Cause>, StoreError> {
    let kind = part.unit_kind();
    let mut running = false;
    if let Some(before) = care.open().map(|open| open.before.clone()) {
        running = !matches!(world.look_step(kind, &before).await, Ok(StepNow::Idle) | Err(_));
        if !running {
            care.parts.pop();
        }
    }
    if !running {
        let work = match work.await {
            Ok(Some(work)) => work,
            Ok(None) => {
                care.parts.push(begun(part, String::new()));
                return Ok(Ok(Output::Forgotten { backups: Vec::new() }));
            }
            Err(cause) => {
                care.parts.push(begun(part, String::new()));
                return Ok(Err(cause));
            }
        };
        let before = world.clear_step(kind).await;
        care.parts.push(begun(part, before.clone().unwrap_or_default()));
        if let Err(cause) = before {
            return Ok(Err(cause));
        }
        record.keep(care).await?;
        if let Err(cause) = world.begin_step(kind, &Request::alone(work)).await {
            return Ok(Err(cause));
        }
    }
    let before = care.open().map(|open| open.before.clone()).unwrap_or_default();
    Ok(match world.finish_step(kind, &before, &[]).await {
        Ok(Report::Done(out)) => Ok(out),
        Ok(Report::Failed(cause)) | Err(cause) => Err(cause),
    })
}

/// Puts into the record what came of a part. One that a deployment has stopped has found nothing out: it is as if it had
/// not begun, and is done again when the deployment has ended.
pub fn conclude(care: &mut Care, part: Part, outcome: Result<Output, Cause>, stopped: bool) {
    let progress = care.parts.pop().unwrap_or_else(|| begun(part, String::new()));
    match outcome {
        Ok(out) => {
            if let Output::BackedUp { name, .. } = &out {
                care.backup = name.parse().ok();
            }
            // What was not tried is not done.
            let state = if matches!(out, Output::Closed { .. }) { "skipped" } else { "done" };
            close(care, progress, state, &crate::daemon::views::detail(&out), None);
        }
        Err(_) if stopped => {}
        // It is tried again with the next one: the backup is no worse for it.
        Err(cause) if part == Part::Push => close(care, progress, "late", &cause.what.clone(), Some(cause)),
        Err(cause) => close(care, progress, "failed", &cause.what.clone(), Some(cause)),
    }
}

/// Ends a care that cannot go on.
pub fn end_with(care: &mut Care, cause: Cause) {
    let part = care.next().unwrap_or(Part::Backup);
    let progress = match care.open() {
        Some(_) => care.parts.pop(),
        None => None,
    };
    close(care, progress.unwrap_or_else(|| begun(part, String::new())), "failed", &cause.what.clone(), Some(cause));
}

fn begun(part: Part, before: String) -> Progress {
    Progress { part, state: "running".to_owned(), began: now(), took: None, detail: String::new(), before, cause: None }
}

fn close(care: &mut Care, mut progress: Progress, state: &str, detail: &str, cause: Option<Cause>) {
    progress.state = state.to_owned();
    progress.took = Some(now() - progress.began);
    progress.detail = detail.to_owned();
    progress.cause = cause;
    care.parts.push(progress);
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::deploy::sim::{Crash, GOOD, Sim};
    use crate::model::care::Kind;

    /// The record on disk.
    struct Disk(Care);

    impl Record for Disk {
        async fn keep(&mut self, care: &Care) -> Result<(), StoreError> {
            self.0 = care.clone();
            Ok(())
        }
    }

    fn work(part: Part) -> Option<Work> {
        let backup = || "20260101T000000Z".parse().unwrap();
        match part {
            Part::Backup => Some(Work::Backup { running: None, revision: None, quarantine: None }),
            Part::Folders => Some(Work::Folders { backup: backup() }),
            Part::Prove => Some(Work::Prove { backup: backup() }),
            Part::Push => Some(Work::Push { backups: vec![backup()] }),
            Part::Prune => None,
        }
    }

    fn daily() -> Care {
        Care::new(Kind::Daily, "the timer".into(), "boot1".into(), None)
    }

    /// The core's loop, until the care is over; `None`: the core died.
    fn until_over(sim: &mut Sim, disk: &mut Disk) -> Option<Care> {
        let mut care = disk.0.clone();
        let over = {
            let all = async {
                while let Some(part) = care.next() {
                    let outcome = take(sim, disk, &mut care, part, async { Ok(work(part)) }).await.unwrap();
                    conclude(&mut care, part, outcome, false);
                    disk.keep(&care).await.unwrap();
                }
            };
            pin!(all).poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        over.then(|| disk.0.clone())
    }

    fn told(care: &Care) -> Vec<(&str, &str)> {
        care.parts.iter().map(|part| (part.part.word(), part.state.as_str())).collect()
    }

    #[test]
    fn a_care_goes_on_wherever_the_core_died() {
        let (mut sim, mut disk) = (Sim::new(GOOD), Disk(daily()));
        let whole = until_over(&mut sim, &mut disk).unwrap();
        assert_eq!(told(&whole), ["backup", "folders", "prove", "push", "prune"].map(|part| (part, "done")));
        let total = sim.op;
        assert!(total > 10, "only {total} places to die at");
        for at in 1..=total {
            let (mut sim, mut disk) = (Sim::new(GOOD), Disk(daily()));
            sim.crash_at = Some((at, Crash::Core));
            assert!(until_over(&mut sim, &mut disk).is_none(), "it did not die at {at}");
            let mut sim = sim.after(Crash::Core);
            let care = until_over(&mut sim, &mut disk).unwrap();
            assert_eq!((told(&care), care.state()), (told(&whole), "done"), "died at {at}");
            assert_eq!(sim.violations, Vec::<String>::new(), "died at {at}");
        }
    }

    #[test]
    fn what_fails_ends_it_and_what_is_stopped_does_not() {
        let mut care = daily();
        conclude(&mut care, Part::Backup, Err(Cause::new("stopped")), true);
        assert_eq!((care.next(), care.state()), (Some(Part::Backup), "running"));
        care.parts.push(begun(Part::Backup, "run1".into()));
        conclude(&mut care, Part::Backup, Err(Cause::new("stopped")), true);
        assert_eq!((care.next(), care.parts.len()), (Some(Part::Backup), 0), "it is as if it had not begun");

        let name = "20260101T000000Z";
        let out = Output::BackedUp { name: name.into(), bytes: 1, sha256: String::new() };
        conclude(&mut care, Part::Backup, Ok(out), false);
        assert_eq!(care.backup.as_ref().map(ToString::to_string).as_deref(), Some(name));
        conclude(&mut care, Part::Folders, Err(Cause::new("no room")), false);
        assert_eq!((care.next(), care.state()), (None, "failed"));
        assert_eq!(care.failure().unwrap().detail, "no room");

        // What cannot be carried away makes no backup fail, and stopped it has found nothing out either.
        let (why, mut care) = (|| Cause::new("no network"), daily());
        care.without = vec![Part::Folders, Part::Prove];
        care.parts.push(begun(Part::Backup, "run1".into()));
        conclude(&mut care, Part::Backup, Ok(Output::Nothing), false);
        care.parts.push(begun(Part::Push, "run2".into()));
        conclude(&mut care, Part::Push, Err(why()), true);
        assert_eq!(care.next(), Some(Part::Push));
        care.parts.push(begun(Part::Push, "run3".into()));
        conclude(&mut care, Part::Push, Err(why()), false);
        assert_eq!((care.next(), care.state()), (Some(Part::Prune), "running"));
        assert_eq!(care.late().unwrap().detail, "no network");

        let mut open = daily();
        open.parts.push(begun(Part::Backup, "run1".into()));
        end_with(&mut open, Cause::new("the machine was restarted"));
        assert_eq!((told(&open), open.state()), (vec![("backup", "failed")], "failed"));
    }

    #[test]
    fn what_cannot_be_asked_is_a_failure_and_starts_nothing() {
        let (mut sim, mut disk, mut care) = (Sim::new(GOOD), Disk(daily()), daily());
        let work = async { Err(Cause::new("there is no backup to prove")) };
        let outcome = {
            let taken = pin!(take(&mut sim, &mut disk, &mut care, Part::Prove, work));
            taken.poll(&mut Context::from_waker(Waker::noop()))
        };
        let Poll::Ready(outcome) = outcome else { panic!("it waits") };
        assert_eq!(outcome.unwrap().unwrap_err().what, "there is no backup to prove");
        assert_eq!(sim.disk.runs, Sim::new(GOOD).disk.runs, "a unit was started");
    }
}
