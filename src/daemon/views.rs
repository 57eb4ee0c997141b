//! A journal as people see it. Pure.

use crate::model::gates::{Answer, Reply, Ruling};
use crate::model::going_back::stays;
use crate::model::journal::{Fact, Goal, Journal, Output, Restored};
use crate::model::lane::{Lane, seconds};
use crate::model::leaving::Leaving;
use crate::model::machine::{self, Next};
use crate::model::names::{ReleaseId, words};
use crate::model::outcome::Verdict;
use crate::model::size::size;
use crate::model::step::Step;
use crate::model::view::{DeploymentView, FailureView, HistoryRow, RunView, StepView};
use crate::model::window;

/// One deployment.
pub fn deployment(row: HistoryRow, wanted: String, journal: &Journal) -> DeploymentView {
    let order = journal.order();
    let from = order.and_then(|order| order.from);
    let verdict = journal.verdict();
    // A rollback that was tried again has ended twice, and what was said about the first end is no longer true.
    let ends = journal.0.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Ended { note, .. } => Some(note.clone()),
        _ => None,
    });
    let note = ends.flatten();
    DeploymentView {
        verdict,
        state: match verdict {
            None if matches!(machine::next(journal), Next::Wait(..)) => "waiting",
            None => "running",
            Some(verdict) => verdict.word(),
        }
        .to_owned(),
        gates: journal.judged().map(|judgement| judgement.answers.clone()).unwrap_or_default(),
        wanted,
        from,
        from_revision: order.and_then(|order| order.from_revision.clone()),
        lane: journal.lane(),
        pending: journal.inspected().map(|inspected| inspected.pending.clone()).unwrap_or_default(),
        rehearsal: journal.rehearsed().cloned(),
        window: window::real(journal),
        steps: steps(journal, row.release),
        failure: failure(journal),
        serving: serving(journal, from, row.release),
        felt: journal.felt(),
        undone: undone(journal, from),
        database: database(journal),
        only_aside: only_aside(journal),
        runs: runs(journal),
        notices: Vec::new(),
        note,
        id: row.id,
        app: row.app,
        kind: row.kind,
        revision: row.revision,
        subject: row.subject,
        release: row.release,
        by: row.by,
        trigger: row.trigger,
        accepted: row.accepted,
        ended: row.ended,
    }
}

fn steps(journal: &Journal, release: ReleaseId) -> Vec<StepView> {
    let from = journal.order().and_then(|order| order.from);
    let mut steps: Vec<StepView> = Vec::new();
    for entry in &journal.0 {
        let (step, state, detail) = match &entry.fact {
            // While it waits the gates are asked again and again: that is one line.
            Fact::Intent { step, .. }
                if steps.last().is_some_and(|last| last.step == *step && last.state == "waiting") =>
            {
                continue;
            }
            Fact::Intent { step, .. } => {
                let state = "running".to_owned();
                let detail = String::new();
                steps.push(StepView { step: *step, state, began: entry.at, took: None, detail, expected: None });
                continue;
            }
            Fact::Done { step, out: Output::Judged(judgement) } => match judgement.ruling() {
                Ruling::Pass => (step, "done", passed(&judgement.answers)),
                Ruling::Refuse => (step, "refused", judgement.words()),
                Ruling::Wait(_) => {
                    if let Some(view) = steps.last_mut() {
                        view.state = "waiting".to_owned();
                        view.detail = judgement.words();
                    }
                    continue;
                }
            },
            Fact::Done { step, out: Output::Nothing } => (step, "done", plainly(*step, release, from)),
            Fact::Done { step, out } => (step, "done", detail(out)),
            Fact::Failed { step, cause } => (step, "failed", cause.what.clone()),
            Fact::Void { step } => (step, "void", String::new()),
            Fact::Accepted(_)
            | Fact::Resumed
            | Fact::AbortAsked { .. }
            | Fact::Superseded { .. }
            | Fact::Retried { .. }
            | Fact::Felt(_)
            | Fact::Ended { .. } => continue,
        };
        if let Some(view) = steps.iter_mut().rev().find(|view| view.step == *step && view.took.is_none()) {
            view.state = state.to_owned();
            view.took = Some(entry.at - view.began);
            view.detail = detail;
        }
    }
    steps
}

/// How many gates agreed, and which were passed against their will.
fn passed(answers: &[Answer]) -> String {
    let overridden: Vec<&str> =
        answers.iter().filter(|answer| answer.reply == Reply::Overridden).map(|answer| answer.gate.word()).collect();
    let agreed = answers.iter().filter(|answer| answer.reply == Reply::Pass).count();
    let mut words = format!("{agreed} agree");
    if !overridden.is_empty() {
        words += &format!("; overridden: {}", overridden.join(", "));
    }
    words
}

/// What a step did that has nothing else to tell.
fn plainly(step: Step, release: ReleaseId, from: Option<ReleaseId>) -> String {
    match step {
        Step::HandOver => format!("release {release} takes the requests"),
        Step::Close => "nginx answers 503".to_owned(),
        Step::Fence => "nobody but the migration may connect".to_owned(),
        Step::Switch => format!("current is release {release}"),
        Step::SwitchBack => {
            from.map_or_else(|| "no release is current".to_owned(), |id| format!("current is release {id}"))
        }
        Step::Admit => "the application may connect".to_owned(),
        Step::Open | Step::Reopen => "requests are let in".to_owned(),
        Step::Unfence => "everybody may connect as before".to_owned(),
        Step::Settle => format!("release {release} is the good one"),
        _ => String::new(),
    }
}

pub fn detail(out: &Output) -> String {
    match out {
        Output::Nothing | Output::Felt(_) => String::new(),
        Output::Fetched(fetched) => format!("{} {}", fetched.revision.short(), fetched.subject),
        Output::Judged(judgement) => passed(&judgement.answers),
        Output::Asked { revision } => revision.short().to_owned(),
        Output::Compared(found) => found.to.revision.short().to_owned(),
        // It is part of a judgement.
        Output::Outside(_) => String::new(),
        Output::Built { how } | Output::Probed { how } => how.clone(),
        Output::Sealed { files, bytes } => format!("{files} files, {}", size(*bytes)),
        Output::Inspected(found) if found.ahead => "the schema is ahead, and proven (case 1)".to_owned(),
        Output::Inspected(found) if found.pending.is_empty() => "no migration is pending".to_owned(),
        Output::Inspected(found) => {
            let names: Vec<&str> = found.pending.iter().map(|pending| pending.revision.as_str()).collect();
            // What is rehearsed first has no lane yet.
            let lane = if found.rehearse && found.lane == Lane::Fenced { "" } else { found.lane.word() };
            let lane = if lane.is_empty() { String::new() } else { format!("; lane: {lane}") };
            format!("pending: {}{lane}", names.join(", "))
        }
        Output::Rehearsed(found) => {
            format!("migrated a copy in {}; lane: {}", seconds(found.migration.took), found.lane.word())
        }
        Output::BackedUp { name, bytes, .. } => format!("{name}, {}", size(*bytes)),
        Output::Kept { files, bytes, new_bytes, restless } => {
            let restless = if *restless == 0 { String::new() } else { format!(", {restless} changed meanwhile") };
            format!("{files} files, {}; {} new{restless}", size(*bytes), size(*new_bytes))
        }
        Output::Proven { tables, rows, .. } => format!("{tables} tables with {rows} rows are as they were"),
        Output::Sent { backups, bytes } => format!("{} off-site now, {} carried", backups.len(), size(*bytes)),
        Output::Closed { why, .. } => format!("checksummed only: {why}"),
        Output::Forgotten { backups } if backups.is_empty() => String::new(),
        Output::Forgotten { backups } => {
            format!("deleted {}", backups.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "))
        }
        Output::Settled { cut_off: 0 } => "the old release has finished all requests".to_owned(),
        Output::Settled { cut_off } => format!("{cut_off} requests or connections of the old release were cut off"),
        Output::Up(units) => units.iter().map(|unit| unit.name.as_str()).collect::<Vec<_>>().join(", "),
        Output::Fenced { ended } if ended.is_empty() => "nobody but the migration may connect".to_owned(),
        Output::Fenced { ended } => format!("ended: {}", ended.join(", ")),
        Output::Twinned { database, .. } => database.clone(),
        Output::Loaded { database, tables, rows } => {
            format!("{database}: {tables} tables with {rows} rows are as they were")
        }
        Output::Swapped { quarantine } => format!("the backup is live; the one before is {quarantine}"),
        Output::Counted { tables, .. } => super::restore::only_there(tables),
        Output::Migrated { heads } => {
            if heads.is_empty() {
                String::new()
            } else {
                format!("at {}", words(heads))
            }
        }
        Output::Restored(Restored::Unchanged) => "the schema is as it was".to_owned(),
        Output::Restored(Restored::Ahead { revisions }) => {
            format!("the schema stays at {}, where the old release is proven", words(revisions))
        }
        Output::Restored(Restored::SwappedBack { quarantine }) => {
            format!("swapped back; the failed one is {quarantine}")
        }
        Output::Restored(Restored::Reverted { aside }) => format!("swapped back; the restored one is {aside}"),
        Output::Restored(Restored::HandedOver) => "the schema has changed, and there is no twin".to_owned(),
        Output::Pruned { releases } if releases.is_empty() => String::new(),
        Output::Pruned { releases } => {
            format!("releases {}", releases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The failure that everything after it follows from; of an undo only if nothing else failed.
fn failure(journal: &Journal) -> Option<FailureView> {
    let failures = || {
        journal.0.iter().filter_map(|entry| match &entry.fact {
            Fact::Failed { step, cause } => Some(FailureView { step: *step, cause: cause.clone() }),
            _ => None,
        })
    };
    failures().find(|failure| !failure.step.is_back()).or_else(|| failures().next())
}

fn serving(journal: &Journal, from: Option<ReleaseId>, release: ReleaseId) -> String {
    let old = |how: &str| {
        from.map_or_else(|| "nothing: there was no release before".to_owned(), |id| format!("release {id}, {how}"))
    };
    match journal.verdict() {
        None if machine::touched(journal) => "between two releases".to_owned(),
        None => old("untouched so far"),
        Some(Verdict::Deployed) if journal.touched(Step::Settle) => format!("release {release}, verified"),
        Some(Verdict::Deployed) => old("untouched"),
        Some(Verdict::Failed | Verdict::Refused | Verdict::Superseded) => old("untouched"),
        Some(Verdict::Aborted) if !machine::touched(journal) => old("untouched"),
        Some(Verdict::RolledBack | Verdict::Aborted) => old("as before, verified"),
        Some(Verdict::NeedsOperator) => "not verified".to_owned(),
    }
}

/// The runs that the deployment started or that failed in it.
fn runs(journal: &Journal) -> Vec<RunView> {
    let mut runs: Vec<RunView> = Vec::new();
    let mut add = |unit: String, invocation: &str| {
        let run = RunView { unit, invocation: invocation.to_owned() };
        if !invocation.is_empty() && !runs.contains(&run) {
            runs.push(run);
        }
    };
    for entry in &journal.0 {
        match &entry.fact {
            Fact::Done { out: Output::Up(units), .. } => {
                units.iter().for_each(|unit| add(unit.name.to_string(), &unit.invocation));
            }
            Fact::Failed { cause, .. } => {
                if let Some((unit, invocation)) = &cause.unit {
                    add(unit.clone(), invocation);
                }
            }
            _ => {}
        }
    }
    runs
}

/// What was undone; what could not be is among the failed steps.
fn undone(journal: &Journal, from: Option<ReleaseId>) -> Vec<String> {
    let old = from.map_or_else(|| "no release".to_owned(), |id| format!("release {id}"));
    let mut lines = Vec::new();
    let staged = machine::staged(journal);
    for step in Step::ALL.into_iter().filter(|step| step.is_back() && journal.output(*step).is_some()) {
        let words = match (step, journal.output(step)) {
            (Step::Halt, _) => "stopped the new release".to_owned(),
            (Step::Restore, Some(out)) => detail(out),
            (Step::SwitchBack, _) => format!("pointed the link back to {old}"),
            (Step::Unfence, _) => "gave the right to connect back".to_owned(),
            (Step::Return, _) if staged => format!("{old} takes the requests again"),
            (Step::Return, _) => format!("started {old}"),
            (Step::Reopen, _) => "opened the door".to_owned(),
            (Step::ReturnWorkers, _) => format!("started the workers of {old}"),
            _ => continue,
        };
        lines.push(words);
    }
    lines
}

fn database(journal: &Journal) -> Option<String> {
    let only = super::restore::only_there(&only_aside(journal));
    let only = if only.is_empty() { only } else { format!(": {only}") };
    super::restore::sentence(journal).or_else(|| moved(journal)).map(|words| words + &only)
}

/// What was counted in the database that was kept aside.
fn only_aside(journal: &Journal) -> Vec<Leaving> {
    match journal.output(Step::Count) {
        Some(Output::Counted { tables, .. }) => tables.clone(),
        _ => Vec::new(),
    }
}

/// What a migration, and perhaps its undoing, made of the database.
fn moved(journal: &Journal) -> Option<String> {
    if !journal.touched(Step::Migrate) && !journal.touched(Step::Fence) {
        let kept = matches!(journal.order()?.goal, Goal::Release(_));
        let inspected = journal.inspected().filter(|inspected| kept || inspected.ahead)?;
        return Some(stays(&inspected.current, inspected.ahead));
    }
    let words = match (journal.output(Step::Restore), journal.output(Step::Migrate)) {
        (Some(Output::Restored(Restored::Unchanged)), _) => {
            "unchanged (case 0): the migration left nothing behind".to_owned()
        }
        (Some(Output::Restored(Restored::Ahead { revisions })), _) => {
            format!("stays at {} (case 1): the rehearsal has proven the old release on it", words(revisions))
        }
        (Some(Output::Restored(Restored::SwappedBack { quarantine })), _) => {
            format!(
                "as before the migration (case 2): the twin was swapped back, the failed one is kept as {quarantine}"
            )
        }
        (Some(Output::Restored(Restored::HandedOver)), _) => {
            "changed by the migration (case 3): nothing was moved; the backup of this deployment is kept".to_owned()
        }
        (_, Some(out)) if journal.touched(Step::Open) => format!("migrated, {}", detail(out)),
        (_, Some(out)) if journal.lane() != Some(Lane::Fenced) => format!("migrated, {}", detail(out)),
        (_, Some(out)) => format!("migrated, {}; nobody but the new release can write yet", detail(out)),
        _ => "the migration has not ended".to_owned(),
    };
    Some(words)
}
