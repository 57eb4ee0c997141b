//! Every failing step × every crash point × a second crash in recovery: all end whole.
#![expect(clippy::print_stdout, reason = "the count is what is to be shown")]

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{Crash, Db, GOOD, ID, NEW, OLD, Script, Sim};
use crate::config::Settings;
use crate::deploy::engine::Engine;
use crate::deploy::world::World;
use crate::model::journal::{Fact, Goal, Inspected, Journal, Order, Restoring};
use crate::model::lane::Lane;
use crate::model::machine::{self, Next};
use crate::model::outcome::Verdict;
use crate::model::step::Step;
use crate::model::trigger::Trigger;

fn settings(slots: bool) -> Settings {
    if slots { crate::config::testing::slots() } else { crate::config::testing::settings() }
}

type Decide = fn(&Journal) -> Next;

macro_rules! without {
    ($($step:ident),*) => {
        [$((Step::$step, (|journal: &Journal| skip(journal, Step::$step)) as Decide)),*]
    };
}

mod blind;

/// Runs the core once, from what is on disk, until it settles or crashes.
fn run_once(sim: &mut Sim, settings: &Settings, decide: Decide) -> Option<Verdict> {
    let journal = Journal(sim.disk.journal.clone());
    let fresh = journal.0.is_empty();
    let first = sim.script.first;
    let restoring = Restoring {
        backup: "20260101T000000Z".parse().unwrap(),
        release: OLD,
        schema: vec!["0".parse().unwrap()],
        running: None,
        snapshot: None,
    };
    let order = Order {
        goal: if sim.script.restore { Goal::Restore(restoring) } else { Goal::Revision(None) },
        from: (!first).then_some(OLD),
        from_revision: (!first).then(|| "a".repeat(40).parse().unwrap()),
        revision: sim.script.restore.then(|| "a".repeat(40).parse().unwrap()),
        by: "olga".into(),
        force: sim.script.restore,
        slots: sim.script.slots && !first,
        overrides: vec![],
        who: Default::default(),
        trigger: if sim.script.automatic || sim.script.quarantined { Trigger::Poll } else { Trigger::Person },
    };
    let mut engine = Engine { world: sim, settings, id: ID, journal, decide };
    let work = async {
        if fresh {
            let fact = Fact::Accepted(order);
            engine.world.append(fact).await.unwrap();
            engine.journal = Journal(engine.world.disk.journal.clone());
            engine.run().await.unwrap()
        } else {
            engine.resume().await.unwrap()
        }
    };
    let mut work = pin!(work);
    match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => Some(verdict),
        Poll::Pending => None,
    }
}

/// Runs a scenario through its crashes; tells how it ended and the operations of the last run.
fn scenario(script: &Script, crashes: &[(usize, Crash)], decide: Decide) -> (Sim, Verdict, usize) {
    go_on(Sim::new(script.clone()), &settings(script.slots), crashes, decide)
}

/// The same from any point on.
fn go_on(mut sim: Sim, settings: &Settings, crashes: &[(usize, Crash)], decide: Decide) -> (Sim, Verdict, usize) {
    let mut crashes = crashes.iter().copied();
    loop {
        let crash = crashes.next();
        sim.crash_at = crash;
        let verdict = run_once(&mut sim, settings, decide);
        let ops = sim.op;
        match (verdict, crash) {
            (Some(verdict), _) => return (sim, verdict, ops),
            (None, Some((_, crash))) => sim = sim.after(crash),
            (None, None) => panic!("the engine waits for something that never comes"),
        }
    }
}

/// What the first crash leaves; `None` if the scenario ends before it.
fn crashed(script: &Script, settings: &Settings, at: usize, crash: Crash, decide: Decide) -> Option<Sim> {
    let mut sim = Sim::new(script.clone());
    sim.crash_at = Some((at, crash));
    run_once(&mut sim, settings, decide).is_none().then(|| sim.after(crash))
}

/// Says what is not whole at the end.
fn wounds(sim: &Sim, verdict: Verdict) -> Vec<String> {
    let mut wounds = sim.violations.clone();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wounds.push(what.to_owned());
        }
    };
    let old = (!sim.script.first).then_some(OLD);
    let kept = |db: &Option<Db>| db.as_ref().map(|db| db.rows.clone()).unwrap_or_default();
    let restored = sim.disk.live.from_backup;
    if restored {
        let everywhere: BTreeSet<u32> = sim.disk.live.rows.union(&kept(&sim.disk.quarantine)).copied().collect();
        check(everywhere == sim.disk.acknowledged, "acknowledged rows are neither live nor in the quarantine");
    } else {
        check(sim.disk.live.rows == sim.disk.acknowledged, "acknowledged rows are missing");
    }
    match verdict {
        Verdict::Deployed if sim.script.restore => {
            check(restored, "restored, but another database is live");
            check(sim.serving() == Some(OLD), "restored, but not serving");
            check(sim.worker() == Some(OLD), "restored, but the worker does not run");
            check(sim.disk.quarantine.is_some(), "restored, but the database that was live is gone");
        }
        Verdict::Deployed => {
            check(sim.live() == Some(NEW), "deployed, but the link is old");
            check(sim.serving() == Some(NEW), "deployed, but not serving the new release");
            check(sim.worker() == Some(NEW), "deployed, but the worker is not the new one");
            check(sim.disk.good == Some(NEW), "deployed, but not settled");
        }
        Verdict::Failed | Verdict::RolledBack | Verdict::Aborted | Verdict::Refused | Verdict::Superseded => {
            check(sim.live() == old, "undone, but the link is new");
            check(sim.serving() == old, "undone, but not serving the old release");
            check(sim.worker() == old, "undone, but the worker is not the old one");
            check(sim.disk.good == old, "undone, but settled as new");
            let ahead = sim.script.lane == Lane::Online && sim.disk.live.schema == 1;
            check(sim.disk.live.schema == 0 || ahead, "undone, but the schema has changed");
            check(!ahead || sim.disk.releases.contains(&NEW), "nobody knows the schema any more");
            check(sim.disk.twin.is_none(), "undone, but a twin was left behind");
            check(!restored, "undone, but the backup is live");
            check(sim.disk.quarantine.is_none() || !sim.script.restore, "undone, but the database is still aside");
        }
        Verdict::NeedsOperator => {}
    }
    if verdict != Verdict::NeedsOperator {
        check(!sim.disk.closed, "the door stayed closed");
        check(!sim.disk.live.public_shut_out && !sim.disk.live.owner_shut_out, "the fence stayed up");
    }
    check(sim.disk.links.values().all(|link| sim.disk.releases.contains(link)), "a link points nowhere");
    if verdict != Verdict::NeedsOperator {
        let live = sim.live();
        check(sim.disk.links.values().all(|link| Some(*link) == live), "an idle slot has another release");
        check(sim.up_slots() == usize::from(sim.script.slots && live.is_some()), "a slot runs for nothing, or none");
    }
    wounds
}

/// Whether a person may be needed in this scenario: only after the commit point, or without a twin.
fn may_need_operator(script: &Script, sim: &Sim) -> bool {
    let journal = Journal(sim.disk.journal.clone());
    let committed = machine::committed(&journal);
    let no_twin = script.lane == Lane::Stop && journal.touched(Step::Migrate);
    (committed && (script.lane == Lane::Fenced || script.restore))
        || no_twin
        || (committed && script.fails == Some(Step::Settle))
}

fn scripts() -> Vec<Script> {
    let mut scripts = Vec::new();
    let slots = [(Lane::Code, true), (Lane::Online, true), (Lane::Fenced, true)];
    let plain = [Lane::Code, Lane::Online, Lane::Fenced, Lane::Stop].map(|lane| (lane, false));
    for (lane, slots) in plain.into_iter().chain(slots) {
        for half in [false, true] {
            // Without an old release there is none that could go on serving.
            for first in [false, true].into_iter().filter(|first| lane != Lane::Online || !first) {
                // What is stopped and started behind a socket differs little from what is not.
                if slots && lane == Lane::Fenced && (half || first) {
                    continue;
                }
                let base = Script { lane, half, first, slots, ..GOOD };
                scripts.push(base.clone());
                let seen = if lane == Lane::Online { Lane::Fenced } else { lane };
                let inspected = Inspected { rehearse: true, ..Inspected::nothing(seen) };
                for step in Step::plan(Some(&inspected), Some(lane), false, slots && !first) {
                    scripts.push(Script { fails: Some(step), times: usize::MAX, ..base.clone() });
                }
            }
        }
    }
    scripts.extend([false, true].map(|slots| Script { slots, alike: true, ..GOOD }));
    let restore = Script { restore: true, ..GOOD };
    for half in [false, true] {
        let base = Script { half, ..restore.clone() };
        scripts.push(base.clone());
        for step in Step::restore_plan() {
            scripts.push(Script { fails: Some(step), times: usize::MAX, ..base.clone() });
        }
    }
    scripts
}

/// How densely second crashes are tried: every point with TSH_SIM=full, else a sample.
fn stride() -> usize {
    if std::env::var("TSH_SIM").is_ok_and(|value| value == "full") { 1 } else { 300 }
}

/// Tries every crash point, and second ones, and returns the number of runs and what went wrong.
fn enumerate(scripts: &[Script], stride: usize, decide: Decide, stop_at_first: bool) -> (usize, Vec<String>) {
    let mut runs = 0;
    let mut wrong = Vec::new();
    let mut judge = |script: &Script, from: Sim, before: &[(usize, Crash)], crash: Option<(usize, Crash)>| {
        let (sim, verdict, ops) = go_on(from, &settings(script.slots), crash.as_slice(), decide);
        let mut found = wounds(&sim, verdict);
        if verdict == Verdict::NeedsOperator && !may_need_operator(script, &sim) {
            found.push("needs an operator for no reason".into());
        }
        runs += 1;
        for wound in found {
            wrong.push(format!("{wound}: {script:?} {before:?} {crash:?} ended {verdict:?}"));
        }
        (ops, wrong.len())
    };
    for script in scripts {
        let (total, _) = judge(script, Sim::new(script.clone()), &[], None);
        for (at, crash) in (1..=total).flat_map(|at| [(at, Crash::Core), (at, Crash::Machine)]) {
            let Some(left) = crashed(script, &settings(script.slots), at, crash, decide) else { continue };
            let (rest, _) = judge(script, left.clone(), &[(at, crash)], None);
            for again in (1 + at % stride..=rest).step_by(stride) {
                for second in [Crash::Core, Crash::Machine] {
                    let (_, count) = judge(script, left.clone(), &[(at, crash)], Some((again, second)));
                    if stop_at_first && count > 0 {
                        return (runs, wrong);
                    }
                }
            }
        }
    }
    (runs, wrong)
}

#[test]
fn every_failure_and_every_crash_ends_whole() {
    let (runs, wrong) = enumerate(&scripts(), stride(), machine::next, false);
    assert!(
        wrong.is_empty(),
        "{} of {runs} runs are not whole, for example:\n{}",
        wrong.len(),
        wrong.iter().step_by(1 + wrong.len() / 12).cloned().collect::<Vec<_>>().join("\n")
    );
    println!("{runs} runs, all whole");
    assert!(runs > 50_000, "{runs} runs are too few to mean anything");
}

#[test]
fn migrations_that_are_known_are_not_inspected_again() {
    let runs = |script: Script| {
        let (sim, verdict, _) = go_on(Sim::new(script), &settings(false), &[], machine::next);
        assert_eq!(verdict, Verdict::Deployed);
        sim.disk.runs
    };
    assert_eq!(runs(Script { alike: true, ..GOOD }), runs(GOOD) - 1);
}

#[test]
fn an_abort_anywhere_ends_whole() {
    for (lane, slots) in
        [(Lane::Code, false), (Lane::Code, true), (Lane::Online, false), (Lane::Online, true), (Lane::Fenced, false)]
    {
        let (_, _, total) = scenario(&Script { lane, slots, ..GOOD }, &[], machine::next);
        for at in 0..total {
            let script = Script { lane, slots, abort_at: Some(at), ..GOOD };
            let (sim, verdict, _) = scenario(&script, &[], machine::next);
            assert_eq!(wounds(&sim, verdict), Vec::<String>::new(), "{script:?}");
            assert!(matches!(verdict, Verdict::Aborted | Verdict::Deployed), "{script:?} ended {verdict:?}");
        }
    }
}

/// A deployment that waits for its gates has touched nothing, whatever happens to it meanwhile.
#[test]
fn a_wait_ends_as_the_gates_say_and_survives_everything() {
    let cases = [
        (Script { waits: 3, ..GOOD }, Verdict::Deployed),
        (Script { waits: 3, quarantined: true, ..GOOD }, Verdict::Refused),
        (Script { waits: 3, superseded: true, ..GOOD }, Verdict::Superseded),
    ];
    for (script, expected) in cases {
        let (_, _, total) = scenario(&script, &[], machine::next);
        for (at, crash) in (1..=total).flat_map(|at| [(at, Crash::Core), (at, Crash::Machine)]) {
            let (sim, verdict, _) = scenario(&script, &[(at, crash)], machine::next);
            let journal = Journal(sim.disk.journal.clone());
            // In production a reboot leads back, as it does without gates.
            if !(machine::touched(&journal) && crash == Crash::Machine) {
                assert_eq!(verdict, expected, "{script:?}, {crash:?} at {at}");
            }
            assert_eq!(machine::touched(&journal), expected == Verdict::Deployed, "{script:?}, {crash:?} at {at}");
            assert_eq!(wounds(&sim, verdict), Vec::<String>::new());
        }
        for at in 0..total {
            let script = Script { abort_at: Some(at), ..script.clone() };
            let (sim, verdict, _) = scenario(&script, &[], machine::next);
            assert!(verdict == expected || verdict == Verdict::Aborted, "{script:?} ended {verdict:?}");
            assert_eq!(wounds(&sim, verdict), Vec::<String>::new(), "{script:?}");
        }
    }
}

#[test]
fn an_abort_of_a_restore_ends_whole() {
    let good = Script { restore: true, ..GOOD };
    let (_, _, total) = scenario(&good, &[], machine::next);
    for at in 0..total {
        let script = Script { abort_at: Some(at), ..good.clone() };
        let (sim, verdict, _) = scenario(&script, &[], machine::next);
        assert_eq!(wounds(&sim, verdict), Vec::<String>::new(), "{script:?}");
        assert!(matches!(verdict, Verdict::Aborted | Verdict::Deployed), "{script:?} ended {verdict:?}");
    }
}

/// Without its intents, or without the way back, a restore is not whole, and the enumeration says so.
#[test]
fn a_restore_that_forgets_is_noticed() {
    let of_restore = || scripts().into_iter().filter(|script| script.restore);
    for step in [Step::Load, Step::Close, Step::Stop, Step::Fence, Step::Swap, Step::Open] {
        let scripts: Vec<Script> = of_restore().map(|script| Script { lost_intent: Some(step), ..script }).collect();
        let (_, wrong) = enumerate(&scripts, 31, machine::next, true);
        assert!(!wrong.is_empty(), "losing the intent of {step:?} goes unnoticed");
    }
    let undo: [(Step, Decide); 3] = without![Halt, Restore, Unfence];
    for (step, decide) in undo {
        let (_, wrong) = enumerate(&of_restore().collect::<Vec<_>>(), 31, decide, true);
        assert!(!wrong.is_empty(), "doing without {step:?} goes unnoticed");
    }
}

/// Who types it is told how long production stands still; what comes by itself may not close the door for so long.
#[test]
fn a_long_window_is_only_for_who_asks_for_it() {
    let mut settings = settings(false);
    settings.database.as_mut().unwrap().max_window = Some(std::time::Duration::from_secs(5));
    for (automatic, expected) in [(false, Verdict::Deployed), (true, Verdict::Failed)] {
        let script = Script { lane: Lane::Fenced, automatic, ..GOOD };
        let (sim, verdict, _) = go_on(Sim::new(script), &settings, &[], machine::next);
        assert_eq!((verdict, wounds(&sim, verdict)), (expected, Vec::new()));
        assert_eq!(Journal(sim.disk.journal).touched(Step::Close), !automatic);
    }
    // Online there is no window.
    let script = Script { lane: Lane::Online, automatic: true, ..GOOD };
    assert_eq!(go_on(Sim::new(script), &settings, &[], machine::next).1, Verdict::Deployed);
}

/// A step of the rollback that fails once is tried again; one that always fails needs an operator.
#[test]
fn a_failing_undo_is_tried_again_and_then_handed_over() {
    for step in Step::ALL.into_iter().filter(|step| step.is_back()) {
        for (times, expected) in [(1, Verdict::RolledBack), (usize::MAX, Verdict::NeedsOperator)] {
            let mut seen = false;
            // The new release fails its probe in each run; the undo's own failure comes on top.
            let decide: Decide = |journal| machine::next(journal);
            let script = Script { lane: Lane::Fenced, fails: Some(step), times, ..GOOD };
            let (_, _, total) = scenario(&script, &[], decide);
            for at in 1..=total {
                let (sim, verdict, _) = scenario(&script, &[(at, Crash::Machine)], decide);
                if Journal(sim.disk.journal.clone()).touched(step) {
                    seen = true;
                    assert_eq!(verdict, expected, "{step:?} fails {times} times, crash at {at}");
                    if expected == Verdict::RolledBack {
                        assert_eq!(wounds(&sim, verdict), Vec::<String>::new());
                    }
                }
            }
            assert!(seen, "{step:?} was never needed");
        }
    }
}

/// Decides as if this step of the rollback did not exist.
fn skip(journal: &Journal, gone: Step) -> Next {
    let mut pretended = journal.clone();
    loop {
        match machine::next(&pretended) {
            Next::Undo(step) if step == gone => {
                let mut entry = pretended.0.last().cloned().unwrap();
                entry.fact = Fact::Done { step, out: crate::model::journal::Output::Nothing };
                pretended.0.push(entry);
            }
            next => return next,
        }
    }
}
