//! Where the simulated machine runs what, with two slots and without.

use super::{NEW, Sim};
use crate::model::journal::Fact;
use crate::model::names::ReleaseId;
use crate::model::slot::{Link, Slot};
use crate::model::step::Step;

/// The link that a unit runs from.
pub(super) fn link_of(unit: &str) -> Link {
    match unit {
        "erp@a.service" => Link::Slot(Slot::A),
        "erp@b.service" => Link::Slot(Slot::B),
        _ => Link::Current,
    }
}

impl Sim {
    pub(super) fn point_all(&mut self, to: Option<ReleaseId>) {
        let slots = self.script.slots.then_some([Link::Slot(Slot::A), Link::Slot(Slot::B)]);
        for link in slots.into_iter().flatten().chain([Link::Current]) {
            match to {
                Some(to) => self.disk.links.insert(link, to),
                None => self.disk.links.remove(&link),
            };
        }
    }

    pub fn live(&self) -> Option<ReleaseId> {
        self.disk.links.get(&Link::Current).copied()
    }

    /// The web unit that accepts requests, if one may.
    pub(super) fn web(&self) -> Option<&'static str> {
        match self.memory.serving {
            _ if !self.script.slots => Some("erp.service"),
            None | Some(Some(Slot::A)) => Some("erp@a.service"),
            Some(Some(Slot::B)) => Some("erp@b.service"),
            Some(None) => None,
        }
    }

    /// The slots that are up.
    pub fn up_slots(&self) -> usize {
        self.memory.units.keys().filter(|name| name.starts_with("erp@")).count()
    }

    /// What two slots are for: there is always one that serves, and never one that was not probed.
    pub(super) fn watch_slots(&mut self) {
        let has = |what: fn(&Fact) -> bool| self.disk.journal.iter().any(|entry| what(&entry.fact));
        if !has(|fact| fact.intends(Step::Stage)) {
            return;
        }
        let probed = has(|fact| matches!(fact, Fact::Done { step: Step::Probe, .. }));
        let violation = match self.serving() {
            Some(NEW) if !probed => "a user met a release that nobody had probed",
            None => "nobody served, although there are two slots",
            Some(_) => return,
        };
        self.violations.push(violation.into());
    }
}
