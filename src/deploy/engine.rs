//! The loop: look at the journal, write the intent, act, write the outcome.

use super::act::{self, Seen};
use super::world::{Halted, Woken, World};
use crate::config::Settings;
use crate::model::fold::Progress;
use crate::model::journal::{Before, Cause, Entry, Fact, Journal, Output};
use crate::model::machine::{self, Next};
use crate::model::names::{DeploymentId, ReleaseId};
use crate::model::outcome::Verdict;
use crate::model::step::Step;

/// One deployment being carried out.
pub struct Engine<'a, W> {
    /// The machine.
    pub world: &'a mut W,
    /// The application's settings.
    pub settings: &'a Settings,
    /// The deployment's number.
    pub id: DeploymentId,
    /// Its journal so far.
    pub journal: Journal,
    /// Decides what is next.
    pub decide: fn(&Journal) -> Next,
}

impl<W: World> Engine<'_, W> {
    /// Carries the deployment out until it is settled.
    pub async fn run(&mut self) -> Result<Verdict, Halted> {
        loop {
            self.note_abort().await?;
            match (self.decide)(&self.journal) {
                Next::Run(step) | Next::Undo(step) => self.take(step).await?,
                Next::Look(step) => self.look(step).await?,
                Next::Wait(step, until) => self.wait(step, until).await?,
                Next::Finished(verdict, note) => {
                    if self.journal.verdict().is_none() {
                        self.note_felt().await?;
                        self.append(Fact::Ended { verdict, note }).await?;
                    }
                    return Ok(verdict);
                }
            }
        }
    }

    /// Goes on with a deployment that was open when the core came up.
    pub async fn resume(&mut self) -> Result<Verdict, Halted> {
        self.append(Fact::Resumed).await?;
        self.run().await
    }

    /// The release it makes live.
    pub fn release(&self) -> ReleaseId {
        machine::release(&self.journal, ReleaseId(self.id.0))
    }

    /// What users felt is on record only where they can have felt something.
    async fn note_felt(&mut self) -> Result<(), Halted> {
        let felt = self.world.end_gauge().await;
        match felt.filter(|_| machine::touched(&self.journal)) {
            Some(felt) => self.append(Fact::Felt(felt)).await,
            None => Ok(()),
        }
    }

    async fn take(&mut self, step: Step) -> Result<(), Halted> {
        // Of a first release nobody has felt anything before it is there.
        if step == Step::Inspect && self.journal.order().is_some_and(|order| order.from.is_some()) {
            self.world.begin_gauge(self.id).await;
        }
        if step.is_back() && matches!(self.journal.progress(step), Progress::Failed(_)) {
            let attempt = self.journal.attempts(step);
            self.world.pause(attempt).await;
        }
        let before = match act::prepare(self, step).await {
            Ok(before) => before,
            Err(cause) => {
                // Nothing was done yet, but the failure must be on record against an intent.
                self.append(Fact::Intent { step, before: Before::Nothing }).await?;
                return self.outcome(step, Err(cause)).await;
            }
        };
        self.append(Fact::Intent { step, before: before.clone() }).await?;
        let outcome = act::run(self, step, &before).await;
        self.outcome(step, outcome).await
    }

    /// Waits, and then asks all gates again. Nothing is open meanwhile: whatever crashes, the wait goes on.
    async fn wait(&mut self, step: Step, until: Option<i64>) -> Result<(), Halted> {
        match self.world.rest(until).await {
            Woken::Superseded(by) => self.append(Fact::Superseded { by }).await,
            Woken::Look => {
                self.note_abort().await?;
                if matches!((self.decide)(&self.journal), Next::Wait(..)) { self.take(step).await } else { Ok(()) }
            }
        }
    }

    async fn look(&mut self, step: Step) -> Result<(), Halted> {
        let Progress::Open(before) = self.journal.progress(step) else { return Ok(()) };
        let before = before.clone();
        match act::look(self, step, &before).await {
            Ok(Seen::NotDone) => self.append(Fact::Void { step }).await,
            Ok(Seen::Done(out)) => self.outcome(step, Ok(out)).await,
            Err(cause) => self.outcome(step, Err(cause)).await,
        }
    }

    async fn outcome(&mut self, step: Step, outcome: Result<Output, Cause>) -> Result<(), Halted> {
        // An abort that stopped the step comes before the failure that it caused.
        self.note_abort().await?;
        match outcome {
            Ok(out) => self.append(Fact::Done { step, out }).await,
            // Somebody killed the one who looked: look again, as after a crash.
            Err(cause) if cause.killed && step.only_looks() && self.journal.attempts(step) < machine::ATTEMPTS => {
                self.append(Fact::Void { step }).await
            }
            Err(cause) => self.append(Fact::Failed { step, cause }).await,
        }
    }

    async fn note_abort(&mut self) -> Result<(), Halted> {
        match self.world.abort_asked() {
            Some(by) => self.append(Fact::AbortAsked { by }).await,
            None => Ok(()),
        }
    }

    async fn append(&mut self, fact: Fact) -> Result<(), Halted> {
        let entry = Entry { at: self.world.now(), boot: self.world.boot(), fact: fact.clone() };
        self.world.append(fact).await?;
        self.journal.0.push(entry);
        Ok(())
    }
}
