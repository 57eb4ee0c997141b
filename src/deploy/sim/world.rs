//! What the engine may ask of the simulated machine.

use std::path::PathBuf;
use std::time::Duration;

use super::{Db, ID, OLD, Run, Sim, link_of, rev};
use crate::deploy::world::{Act, Halted, StepNow, UnitNow, Vigil, Woken, World};
use crate::model::gates::{Hold, HoldKind, Quarantined, Standing};
use crate::model::journal::{Boot, Cause, Entry, Fact, Felt, Inspected, Invocation, Journal, Output};
use crate::model::lane::Lane;
use crate::model::leaving::Leaving;
use crate::model::names::{BackupName, DeploymentId, ReleaseId, SchemaRevision, Sha, UnitName};
use crate::model::request::{Report, Request};
use crate::model::slot::{Link, Slot};
use crate::model::step::Step;

impl World for Sim {
    async fn append(&mut self, fact: Fact) -> Result<(), Halted> {
        self.tick().await;
        let lost = matches!(fact, Fact::Intent { step, .. } if self.script.lost_intent == Some(step));
        if !lost {
            self.disk.journal.push(Entry { at: 0, boot: self.boot(), fact });
        }
        self.tick().await;
        Ok(())
    }

    fn boot(&self) -> Boot {
        format!("boot{}", self.disk.boots)
    }

    fn now(&self) -> i64 {
        0
    }

    fn abort_asked(&mut self) -> Option<String> {
        let asked = self.script.abort_at.is_some_and(|at| self.op >= at) && !self.aborted;
        self.aborted |= asked;
        asked.then(|| "olga".to_owned())
    }

    async fn rest(&mut self, _until: Option<i64>) -> Woken {
        self.tick().await;
        self.rests += 1;
        if self.script.superseded { Woken::Superseded("alice".to_owned()) } else { Woken::Look }
    }

    async fn standing(&mut self) -> Act<Standing> {
        self.act().await?;
        let locked = self.rests < self.script.waits;
        let lock = Hold { kind: HoldKind::Lock, until: None, reason: String::new(), by: String::new(), at: 0 };
        let failed =
            Quarantined { revision: "b".repeat(40).parse().unwrap(), deployment: ID, reason: String::new(), at: 0 };
        Ok(Standing {
            holds: if locked { vec![lock] } else { Vec::new() },
            decision: None,
            quarantined: if self.script.quarantined { vec![failed] } else { Vec::new() },
        })
    }

    async fn configuration(&mut self) -> Act<String> {
        Ok(String::new())
    }

    async fn pause(&mut self, _attempt: usize) {}

    async fn clear_step(&mut self, kind: &str) -> Act<Invocation> {
        self.tick().await;
        let Some(run) = self.memory.steps.get_mut(kind) else { return Ok(String::new()) };
        if run.ended.is_none() {
            self.violations.push(format!("{kind} was cleared while it ran"));
        }
        run.known = true;
        Ok(run.invocation.clone())
    }

    async fn begin_step(&mut self, kind: &str, request: &Request) -> Act<()> {
        self.tick().await;
        if self.memory.steps.get(kind).is_some_and(|run| !run.known) {
            self.violations.push(format!("{kind} was started twice"));
        }
        let invocation = self.invocation();
        self.memory
            .steps
            .insert(kind.to_owned(), Run { invocation, request: request.clone(), ended: None, known: false });
        self.tick().await;
        Ok(())
    }

    async fn look_step(&mut self, kind: &str, before: &Invocation) -> Act<StepNow> {
        self.tick().await;
        Ok(match self.memory.steps.get(kind).filter(|run| run.invocation != *before) {
            None => StepNow::Idle,
            Some(Run { invocation, ended: None, .. }) => StepNow::Running(invocation.clone()),
            Some(Run { invocation, ended: Some(report), .. }) => {
                StepNow::Ended(invocation.clone(), Box::new(report.clone()))
            }
        })
    }

    async fn finish_step(&mut self, kind: &str, _before: &Invocation, _watched: &[Vigil]) -> Act<Report> {
        self.tick().await;
        self.finish_run(kind);
        self.tick().await;
        self.memory.steps.get(kind).and_then(|run| run.ended.clone()).ok_or_else(|| Cause::new("no run"))
    }

    async fn begin_gauge(&mut self, _id: DeploymentId) {
        self.tick().await;
    }

    async fn end_gauge(&mut self) -> Option<Felt> {
        self.tick().await;
        Some(Felt::default())
    }

    async fn unit(&mut self, name: &UnitName) -> Act<UnitNow> {
        let unit = self.memory.units.get(name.as_str());
        Ok(UnitNow {
            known: true,
            up: unit.is_some(),
            invocation: unit.map(|(invocation, _)| invocation.clone()).unwrap_or_default(),
            pid: u32::from(unit.is_some()),
            restarts: 0,
            words: String::new(),
            told: None,
        })
    }

    async fn start_unit(&mut self, name: &UnitName) -> Act<()> {
        self.act().await?;
        let invocation = self.invocation();
        let release = self.disk.links.get(&link_of(name.as_str())).copied();
        let Some(release) = release else { return Err(Cause::new("nothing to start")) };
        self.memory.units.entry(name.to_string()).or_insert((invocation, release));
        self.tick().await;
        Ok(())
    }

    async fn stop_unit(&mut self, name: &UnitName) -> Act<()> {
        self.act().await?;
        self.memory.units.remove(name.as_str());
        self.tick().await;
        Ok(())
    }

    async fn serving_slot(&mut self) -> Act<Slot> {
        Ok(self.memory.serving.flatten().unwrap_or(Slot::A))
    }

    async fn set_serving(&mut self, slot: Option<Slot>) -> Act<()> {
        self.act().await?;
        self.memory.serving = Some(slot);
        self.tick().await;
        Ok(())
    }

    async fn accepting(&mut self, name: &UnitName) -> Act<()> {
        self.tick().await;
        let up = self.memory.units.contains_key(name.as_str());
        if up { Ok(()) } else { Err(Cause::new("it is down")) }
    }

    async fn drained(&mut self, _name: &UnitName, _within: Duration) -> Act<u64> {
        self.tick().await;
        Ok(0)
    }

    async fn link(&mut self, link: Link) -> Act<Option<ReleaseId>> {
        Ok(self.disk.links.get(&link).copied())
    }

    async fn point(&mut self, link: Link, to: Option<ReleaseId>) -> Act<()> {
        self.act().await?;
        if self.memory.units.keys().any(|unit| link_of(unit) == link) {
            self.violations.push("the link moved under a running process".into());
        }
        if to.is_some_and(|to| !self.disk.releases.contains(&to)) {
            self.violations.push("the link points nowhere".into());
        }
        match to {
            Some(to) => self.disk.links.insert(link, to),
            None => self.disk.links.remove(&link),
        };
        self.tick().await;
        Ok(())
    }

    async fn has_release(&mut self, id: ReleaseId) -> Act<bool> {
        Ok(self.disk.releases.contains(&id))
    }

    async fn door_closed(&mut self) -> Act<bool> {
        Ok(self.disk.closed)
    }

    async fn set_door(&mut self, closed: bool) -> Act<()> {
        self.act().await?;
        self.disk.closed = closed;
        self.tick().await;
        Ok(())
    }

    async fn space(&mut self) -> Act<Vec<(PathBuf, u64)>> {
        Ok(Vec::new())
    }

    async fn settle(&mut self, release: ReleaseId) -> Act<()> {
        self.act().await?;
        self.disk.good = Some(release);
        self.tick().await;
        Ok(())
    }

    async fn kept(&mut self) -> Act<Vec<ReleaseId>> {
        Ok(self.disk.links.values().copied().chain(self.disk.good).collect())
    }

    async fn proven_on(&mut self, _revision: &Sha, _schema: &[SchemaRevision]) -> Act<bool> {
        Ok(false)
    }

    async fn proven_backup(&mut self, _schema: &[SchemaRevision]) -> Act<BackupName> {
        Ok("1-20261121T031500Z".parse().unwrap())
    }

    async fn journal_of(&mut self, release: ReleaseId) -> Act<Journal> {
        self.tick().await;
        let inspected =
            Inspected { target: vec![rev("0")], places: vec!["alembic".to_owned()], ..Inspected::nothing(Lane::Code) };
        let out = Output::Inspected(inspected);
        let fact = Fact::Done { step: Step::Inspect, out };
        let known = self.script.alike && release == OLD;
        Ok(Journal(known.then(|| Entry { at: 0, boot: self.boot(), fact }).into_iter().collect()))
    }

    async fn sealed(&mut self, _release: ReleaseId, _places: &[PathBuf]) -> Act<Vec<String>> {
        self.tick().await;
        Ok(vec!["alembic/versions/0.py".to_owned()])
    }

    async fn earlier(&mut self) -> Act<Vec<Journal>> {
        Ok(Vec::new())
    }

    async fn room(&mut self, _bytes: u64) -> Act<()> {
        Ok(())
    }

    async fn preflight(&mut self, _lane: Lane) -> Act<()> {
        Ok(())
    }

    async fn schema(&mut self) -> Act<Vec<SchemaRevision>> {
        Ok(vec![rev(&self.disk.live.schema.to_string())])
    }

    async fn fingerprint(&mut self) -> Act<String> {
        Ok(self.disk.live.schema.to_string())
    }

    async fn access(&mut self) -> Act<Option<String>> {
        // What the fence left is not what was there before: reading it as the original must show.
        Ok(self.disk.live.public_shut_out.then(|| "shut".to_owned()))
    }

    async fn fence(&mut self) -> Act<Vec<String>> {
        self.act().await?;
        self.disk.live.public_shut_out = true;
        self.disk.live.owner_shut_out = true;
        self.tick().await;
        Ok(Vec::new())
    }

    async fn admit(&mut self) -> Act<()> {
        self.act().await?;
        self.disk.live.owner_shut_out = false;
        self.tick().await;
        Ok(())
    }

    async fn unfence(&mut self, original: Option<&str>) -> Act<()> {
        self.act().await?;
        self.disk.live.owner_shut_out = original.is_some();
        self.disk.live.public_shut_out = original.is_some();
        self.tick().await;
        Ok(())
    }

    async fn moment(&mut self) -> Act<String> {
        Ok("1:1:".to_owned())
    }

    async fn twin(&mut self, _again: bool) -> Act<()> {
        self.act().await?;
        if !self.disk.live.owner_shut_out {
            self.violations.push("a twin was made without a fence".into());
        }
        if self.disk.twin.is_none() {
            self.disk.twin = Some(self.disk.live.clone());
        }
        self.tick().await;
        Ok(())
    }

    async fn settle_migration(&mut self) -> Act<()> {
        self.tick().await;
        Ok(())
    }

    async fn has_quarantine(&mut self) -> Act<bool> {
        Ok(self.disk.quarantine.is_some())
    }

    async fn swap_back(&mut self, _original: Option<&str>) -> Act<()> {
        self.act().await?;
        if let Some(twin) = self.disk.twin.take() {
            self.disk.quarantine = Some(std::mem::replace(&mut self.disk.live, twin));
            self.disk.live.owner_shut_out = true;
            self.disk.live.public_shut_out = true;
        }
        self.tick().await;
        Ok(())
    }

    async fn drop_twin(&mut self) -> Act<()> {
        self.act().await?;
        self.disk.twin = None;
        self.tick().await;
        Ok(())
    }

    async fn make_room(&mut self, _backup: &BackupName) -> Act<()> {
        self.tick().await;
        self.disk.restored = Some(Db::default());
        self.tick().await;
        Ok(())
    }

    async fn drop_restored(&mut self) -> Act<()> {
        self.act().await?;
        self.disk.restored = None;
        self.tick().await;
        Ok(())
    }

    async fn swap_in(&mut self, _original: Option<&str>) -> Act<()> {
        self.act().await?;
        if !self.disk.live.owner_shut_out && self.disk.restored.is_some() {
            self.violations.push("swapped without a fence".into());
        }
        if let Some(restored) = self.disk.restored.take() {
            self.disk.quarantine = Some(std::mem::replace(&mut self.disk.live, restored));
            self.disk.live.owner_shut_out = true;
            self.disk.live.public_shut_out = true;
        }
        self.tick().await;
        Ok(())
    }

    async fn swap_out(&mut self, _original: Option<&str>) -> Act<()> {
        self.act().await?;
        if let Some(quarantine) = self.disk.quarantine.take() {
            self.disk.restored = Some(std::mem::replace(&mut self.disk.live, quarantine));
            self.disk.live.owner_shut_out = true;
            self.disk.live.public_shut_out = true;
        }
        self.tick().await;
        Ok(())
    }

    async fn count_aside(&mut self, _snapshot: Option<&str>, _backup: Option<&BackupName>) -> Act<Vec<Leaving>> {
        self.act().await?;
        Ok(Vec::new())
    }

    async fn forget_old_databases(&mut self) -> Act<()> {
        self.act().await
    }
}
