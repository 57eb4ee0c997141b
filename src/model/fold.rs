//! What a journal says: derived from its entries each time, never stored.

use super::gates::Judgement;
use super::journal::{Before, Boot, Cause, Entry, Fact, Felt, Fetched, Inspected, Journal, Order, Output};
use super::lane::Lane;
use super::outcome::Verdict;
use super::rehearsal::Rehearsal;
use super::step::Step;

/// How far a step is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress<'a> {
    /// Never begun, or begun in vain.
    NotYet,
    /// Intended, and nothing is known since.
    Open(&'a Before),
    /// Did it.
    Done(&'a Output),
    /// Did not.
    Failed(&'a Cause),
}

impl Journal {
    /// What was ordered; a journal without an order is empty.
    #[must_use]
    pub fn order(&self) -> Option<&Order> {
        self.0.iter().find_map(|entry| match &entry.fact {
            Fact::Accepted(order) => Some(order),
            _ => None,
        })
    }

    /// How far `step` is, by its last entry.
    #[must_use]
    pub fn progress(&self, step: Step) -> Progress<'_> {
        for entry in self.0.iter().rev() {
            match &entry.fact {
                Fact::Done { step: s, out } if *s == step => return Progress::Done(out),
                Fact::Failed { step: s, cause } if *s == step => return Progress::Failed(cause),
                Fact::Void { step: s } if *s == step => return Progress::NotYet,
                Fact::Intent { step: s, before } if *s == step => return Progress::Open(before),
                _ => {}
            }
        }
        Progress::NotYet
    }

    /// The boot in which the last entry about `step` was written.
    #[must_use]
    pub fn boot_of(&self, step: Step) -> Option<&Boot> {
        self.0.iter().rev().find(|entry| entry.fact.step() == Some(step)).map(|entry| &entry.boot)
    }

    /// When the last attempt at `step` began, in milliseconds since 1970 (UTC).
    #[must_use]
    pub fn began(&self, step: Step) -> Option<i64> {
        let intent = |entry: &&Entry| matches!(entry.fact, Fact::Intent { step: s, .. } if s == step);
        self.0.iter().rev().find(intent).map(|entry| entry.at)
    }

    /// The place of the last entry about `step`; 0 if there is none.
    #[must_use]
    pub fn last(&self, step: Step) -> usize {
        self.0.iter().rposition(|entry| entry.fact.step() == Some(step)).unwrap_or_default()
    }

    /// The boot of the last entry.
    #[must_use]
    pub fn last_boot(&self) -> Option<&Boot> {
        self.0.last().map(|entry| &entry.boot)
    }

    /// How often `step` was intended, since a person last asked to try again, or since the gates last answered.
    #[must_use]
    pub fn attempts(&self, step: Step) -> usize {
        let again = self.0.iter().rposition(|entry| match &entry.fact {
            Fact::Retried { .. } => true,
            Fact::Done { step: s, out: Output::Judged(_) } => *s == step,
            _ => false,
        });
        let again = again.unwrap_or_default();
        self.0[again..].iter().filter(|entry| entry.fact.intends(step)).count()
    }

    /// Whether `step` was ever intended, so that it may have had an effect.
    #[must_use]
    pub fn touched(&self, step: Step) -> bool {
        self.0.iter().any(|entry| entry.fact.intends(step))
    }

    /// The world before the first attempt at `step`: the only one that no attempt of ours has changed.
    #[must_use]
    pub fn first_before(&self, step: Step) -> Option<&Before> {
        self.0.iter().find_map(|entry| match &entry.fact {
            Fact::Intent { step: s, before } if *s == step => Some(before),
            _ => None,
        })
    }

    /// The last thing that came out of `step`.
    #[must_use]
    pub fn output(&self, step: Step) -> Option<&Output> {
        self.0.iter().rev().find_map(|entry| match &entry.fact {
            Fact::Done { step: s, out } if *s == step => Some(out),
            _ => None,
        })
    }

    /// The commit, once it is known.
    #[must_use]
    pub fn fetched(&self) -> Option<&Fetched> {
        match self.output(Step::Fetch) {
            Some(Output::Fetched(fetched)) => Some(fetched),
            _ => None,
        }
    }

    /// What the gates answered when they were last asked.
    #[must_use]
    pub fn judged(&self) -> Option<&Judgement> {
        self.0.iter().rev().find_map(|entry| match &entry.fact {
            Fact::Done { out: Output::Judged(judgement), .. } => Some(judgement),
            _ => None,
        })
    }

    /// What the inspection found, once it has.
    #[must_use]
    pub fn inspected(&self) -> Option<&Inspected> {
        match self.output(Step::Inspect) {
            Some(Output::Inspected(inspected)) => Some(inspected),
            _ => None,
        }
    }

    /// What users felt, if somebody measured it.
    #[must_use]
    pub fn felt(&self) -> Option<Felt> {
        self.0.iter().rev().find_map(|entry| match &entry.fact {
            Fact::Felt(felt) => Some(*felt),
            _ => None,
        })
    }

    /// What the rehearsal found, once it has.
    #[must_use]
    pub fn rehearsed(&self) -> Option<&Rehearsal> {
        match self.output(Step::Rehearse) {
            Some(Output::Rehearsed(rehearsal)) => Some(rehearsal),
            _ => None,
        }
    }

    /// The lane, once it is chosen: by the inspection, or by the rehearsal where there is one.
    #[must_use]
    pub fn lane(&self) -> Option<Lane> {
        let inspected = self.inspected()?;
        if inspected.rehearse && inspected.lane == Lane::Fenced {
            return self.rehearsed().map(|rehearsal| rehearsal.lane);
        }
        Some(inspected.lane)
    }

    /// Who asked to abort, if anybody did.
    #[must_use]
    pub fn abort_asked(&self) -> Option<&str> {
        self.0.iter().find_map(|entry| match &entry.fact {
            Fact::AbortAsked { by } => Some(by.as_str()),
            _ => None,
        })
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        let last = self.0.iter().rev().find(|entry| matches!(entry.fact, Fact::Ended { .. } | Fact::Retried { .. }))?;
        match &last.fact {
            Fact::Ended { verdict, .. } => Some(*verdict),
            _ => None,
        }
    }
}
