//! A machine in memory that can fail and crash at any operation, for enumerating what may go wrong.
//!
//! A crash is a future that never becomes ready: no code of ours runs after it, as in a power cut. What a run of the
//! core leaves behind is `Disk` (and, if only the core died, `Memory`); the next run starts from that.

mod script;
mod slots;
#[cfg(test)]
mod tests;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use slots::link_of;

pub use script::{GOOD, Script};

use super::world::{Act, World};
use crate::model::journal::{Cause, Entry, Fact, Fetched, Inspected, Invocation, Journal, Output, Pending};
use crate::model::lane::Lane;
use crate::model::machine::{self, AtBoot};
use crate::model::names::{DeploymentId, ReleaseId, SchemaRevision};
use crate::model::rehearsal::{Rehearsal, testing};
use crate::model::request::{Report, Request, Work};
use crate::model::slot::{Link, Slot};
use crate::model::step::Step;

pub const OLD: ReleaseId = ReleaseId(1);
pub const NEW: ReleaseId = ReleaseId(2);

/// A database: a schema version, who may connect, and the rows.
#[derive(Clone, Default)]
pub struct Db {
    pub schema: u8,
    pub owner_shut_out: bool,
    pub public_shut_out: bool,
    pub rows: BTreeSet<u32>,
    /// It is a backup that was restored whole.
    pub from_backup: bool,
}

#[derive(Clone)]
pub struct Disk {
    pub journal: Vec<Entry>,
    pub links: BTreeMap<Link, ReleaseId>,
    pub closed: bool,
    pub releases: BTreeSet<ReleaseId>,
    pub good: Option<ReleaseId>,
    pub live: Db,
    pub twin: Option<Db>,
    pub quarantine: Option<Db>,
    pub restored: Option<Db>,
    pub acknowledged: BTreeSet<u32>,
    pub boots: u32,
    pub runs: u32,
}

#[derive(Clone)]
struct Run {
    invocation: Invocation,
    request: Request,
    ended: Option<Report>,
    /// Whoever starts the unit anew knows of this run.
    known: bool,
}

#[derive(Clone, Default)]
struct Memory {
    /// Whom somebody chose to accept in this boot, if anybody did.
    serving: Option<Option<Slot>>,
    units: BTreeMap<String, (Invocation, ReleaseId)>,
    steps: BTreeMap<String, Run>,
}

/// Who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Core,
    Machine,
}

#[derive(Clone)]
pub struct Sim {
    pub disk: Disk,
    memory: Memory,
    pub script: Script,
    /// Operations so far; the machine crashes when they reach `crash_at`.
    pub op: usize,
    pub crash_at: Option<(usize, Crash)>,
    pub violations: Vec<String>,
    failed: usize,
    /// How often the gates were waited for; the lock is on disk.
    rests: usize,
    aborted: bool,
}

impl Sim {
    pub fn new(script: Script) -> Self {
        let from = (!script.first).then_some(OLD);
        let disk = Disk {
            journal: Vec::new(),
            links: BTreeMap::new(),
            closed: false,
            releases: from.into_iter().collect(),
            good: from,
            live: Db::default(),
            twin: None,
            quarantine: None,
            restored: None,
            acknowledged: BTreeSet::new(),
            boots: 1,
            runs: 0,
        };
        let mut sim = Self {
            disk,
            memory: Memory::default(),
            script,
            op: 0,
            crash_at: None,
            violations: Vec::new(),
            failed: 0,
            rests: 0,
            aborted: false,
        };
        sim.point_all(from);
        sim.start_all();
        sim
    }

    /// What is left after a crash, as the next run finds it.
    pub fn after(mut self, crash: Crash) -> Self {
        match crash {
            Crash::Core => {
                // Step units go on without the core and end.
                let kinds: Vec<String> = self.memory.steps.keys().cloned().collect();
                for kind in kinds {
                    self.finish_run(&kind);
                }
            }
            Crash::Machine => {
                if self.script.half
                    && self
                        .memory
                        .steps
                        .values()
                        .any(|run| matches!(run.request.work, Work::Migrate { .. }) && run.ended.is_none())
                {
                    self.disk.live.schema = self.cut_off();
                }
                self.memory = Memory::default();
                self.disk.boots += 1;
                let journal = Journal(self.disk.journal.clone());
                let hold = match machine::at_boot(&journal, &self.boot(), NEW) {
                    Some(AtBoot::Link(to)) => {
                        self.point_all(to);
                        false
                    }
                    Some(AtBoot::Hold(to)) => {
                        self.point_all(to);
                        self.memory.serving = Some(None);
                        true
                    }
                    None => false,
                };
                if !hold {
                    self.start_all();
                }
            }
        }
        self.op = 0;
        self.crash_at = None;
        self
    }

    fn start_all(&mut self) {
        for name in [if self.script.slots { "erp@a.service" } else { "erp.service" }, "erp-worker.service"] {
            if let Some(release) = self.disk.links.get(&link_of(name)).copied() {
                let invocation = self.invocation();
                self.memory.units.insert(name.to_owned(), (invocation, release));
            }
        }
    }

    fn invocation(&mut self) -> Invocation {
        self.disk.runs += 1;
        format!("run{}", self.disk.runs)
    }

    /// Old code lives on the old schema only, unless it was proven on the new one; new code on the schema of its own
    /// migration.
    pub fn fits(&self, release: ReleaseId) -> bool {
        let wants = u8::from(release == NEW && self.script.lane != Lane::Code);
        let proven = release == OLD && self.script.lane == Lane::Online && self.disk.live.schema == 1;
        (self.disk.live.schema == wants || proven) && !self.disk.live.owner_shut_out
    }

    /// Where the schema is when a migration was cut off: a single transaction is there, or it is not.
    fn cut_off(&self) -> u8 {
        if self.script.lane == Lane::Online { 1 } else { 9 }
    }

    pub fn serving(&self) -> Option<ReleaseId> {
        let (_, release) = self.memory.units.get(self.web()?)?;
        (!self.disk.closed && self.fits(*release)).then_some(*release)
    }

    pub fn worker(&self) -> Option<ReleaseId> {
        self.memory.units.get("erp-worker.service").map(|(_, release)| *release)
    }

    /// One operation: a client writes if somebody answers, and the machine may crash.
    async fn tick(&mut self) {
        if self.script.slots {
            self.watch_slots();
        }
        if self.serving().is_some() {
            let row = u32::try_from(self.disk.acknowledged.len()).unwrap();
            self.disk.live.rows.insert(row);
            self.disk.acknowledged.insert(row);
        }
        self.op += 1;
        if self.crash_at.is_some_and(|(at, _)| at == self.op) {
            std::future::pending::<()>().await;
        }
    }

    fn step(&self) -> Option<Step> {
        self.disk.journal.iter().rev().find_map(|entry| match entry.fact {
            Fact::Intent { step, .. } => Some(step),
            _ => None,
        })
    }

    /// Whether the script lets the current step fail now.
    fn fails(&mut self, step: Option<Step>) -> bool {
        let fails = step.is_some() && self.script.fails == step && self.failed < self.script.times;
        self.failed += usize::from(fails);
        fails
    }

    async fn act(&mut self) -> Act<()> {
        self.tick().await;
        let step = self.step();
        if step.is_some_and(|step| step.unit_kind().is_none()) && self.fails(step) {
            return Err(Cause::new("as the script says"));
        }
        Ok(())
    }

    fn step_of(&self, work: &Work) -> Option<Step> {
        match work {
            Work::Probe { .. } => self.step().filter(|step| matches!(step, Step::Probe | Step::Bake | Step::Reprobe)),
            Work::Fetch { .. } => Some(Step::Fetch),
            Work::Build { .. } => Some(Step::Build),
            Work::Seal { .. } => Some(Step::Seal),
            Work::Inspect { .. } => Some(Step::Inspect),
            Work::Backup { .. } => Some(Step::Backup),
            Work::Rehearse { .. } => Some(Step::Rehearse),
            Work::Restore { .. } => Some(Step::Load),
            Work::Migrate { .. } => Some(Step::Migrate),
            Work::Prune { .. } => Some(Step::Prune),
            Work::Gates { .. } => self.step().filter(|step| matches!(step, Step::Gates | Step::Clearance)),
            Work::Ask
            | Work::Plan { .. }
            | Work::Folders { .. }
            | Work::Prove { .. }
            | Work::Push { .. }
            | Work::Forget { .. }
            | Work::Gauge { .. }
            | Work::Notify { .. } => None,
        }
    }

    fn finish_run(&mut self, kind: &str) {
        let Some(run) = self.memory.steps.get(kind).filter(|run| run.ended.is_none()).cloned() else { return };
        let step = self.step_of(&run.request.work);
        let report = if self.fails(step) {
            if self.script.half && step == Some(Step::Migrate) {
                self.disk.live.schema = self.cut_off();
            }
            // A killed one who only looked has found nothing out.
            Report::Failed(Cause { killed: self.script.half, ..Cause::new("as the script says") })
        } else {
            self.effect(&run.request)
        };
        if let Some(run) = self.memory.steps.get_mut(kind) {
            run.ended = Some(report);
        }
    }

    fn effect(&mut self, request: &Request) -> Report {
        let revision = "b".repeat(40).parse().unwrap();
        let lane = self.script.lane;
        let nontransactional = self.script.half && lane != Lane::Online;
        let pending = |n: &str| Pending { revision: rev(n), title: String::new(), nontransactional };
        let out = match &request.work {
            Work::Fetch { .. } => Output::Fetched(Fetched {
                revision,
                subject: String::new(),
                author: String::new(),
                descends: Some(true),
            }),
            Work::Gates { .. } => Output::Outside(Box::default()),
            Work::Build { .. } => Output::Built { how: String::new() },
            Work::Seal { .. } => {
                self.disk.releases.insert(request.release);
                Output::Sealed { files: 1, bytes: 1 }
            }
            Work::Inspect { .. } => Output::Inspected(Inspected {
                current: vec![rev("0")],
                target: vec![rev(if lane == Lane::Code { "0" } else { "1" })],
                pending: if lane == Lane::Code { vec![] } else { vec![pending("1")] },
                rehearse: true,
                ..Inspected::nothing(if lane == Lane::Online { Lane::Fenced } else { lane })
            }),
            // A schema that its fingerprint names, too; only for the online lane the old release lives on it.
            Work::Rehearse { old, .. } => {
                let good = testing::good("1");
                let proven = good.old.clone().filter(|_| old.is_some() && lane == Lane::Online);
                let (before, after) = ("0".to_owned(), "1".to_owned());
                Output::Rehearsed(Box::new(Rehearsal { old: proven, before, after, ..good }))
            }
            Work::Ask
            | Work::Plan { .. }
            | Work::Folders { .. }
            | Work::Prove { .. }
            | Work::Push { .. }
            | Work::Forget { .. }
            | Work::Gauge { .. }
            | Work::Notify { .. } => Output::Nothing,
            Work::Restore { .. } => {
                let Some(room) = &mut self.disk.restored else {
                    self.violations.push("restored into nothing".into());
                    return Report::Failed(Cause::new("no room"));
                };
                if room.from_backup {
                    self.violations.push("restored twice into the same database".into());
                }
                room.from_backup = true;
                Output::Loaded { database: String::new(), tables: 1, rows: 1 }
            }
            Work::Backup { .. } => {
                Output::BackedUp { name: "2-20261121T031500Z".into(), bytes: 1, sha256: String::new() }
            }
            Work::Migrate { .. } => {
                if self.disk.live.schema != 0 {
                    self.violations.push("migrated twice".into());
                }
                self.disk.live.schema = 1;
                Output::Migrated { heads: vec![rev("1")] }
            }
            Work::Probe { units, .. } => {
                for watched in units {
                    let runs = self.memory.units.get(watched.unit.as_str()).map(|(_, release)| *release);
                    if runs != Some(request.release) || !self.fits(request.release) {
                        return Report::Failed(Cause::new("not healthy"));
                    }
                }
                Output::Probed { how: String::new() }
            }
            Work::Prune { keep } => {
                self.disk.releases.retain(|release| keep.contains(release));
                Output::Pruned { releases: vec![] }
            }
        };
        Report::Done(out)
    }
}

fn rev(text: &str) -> SchemaRevision {
    text.parse().unwrap()
}

/// The deployment every scenario is about.
pub const ID: DeploymentId = DeploymentId(2);
