//! What a deployment will probably take, from what earlier ones took on this machine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::journal::{Fact, Journal};
use super::lane::Lane;
use super::step::Step;

/// What is expected, in milliseconds: medians of earlier deployments through the same lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// How many deployments that is known from.
    pub from: usize,
    /// Each step that they took.
    pub steps: BTreeMap<Step, i64>,
    /// From the order to the end.
    pub total: Option<i64>,
    /// From the moment at which nobody was served any more until the new release was proven or let in.
    pub downtime: Option<i64>,
}

/// The medians of these deployments, as far as they took this lane; of all if none is known.
#[must_use]
pub fn expected(journals: &[Journal], lane: Option<Lane>) -> Expected {
    let same = |journal: &&Journal| lane.is_none() || journal.lane() == lane;
    let same: Vec<&Journal> = journals.iter().filter(same).collect();
    let mut took: BTreeMap<Step, Vec<i64>> = BTreeMap::new();
    for (step, ms) in same.iter().flat_map(|journal| durations(journal)) {
        took.entry(step).or_default().push(ms);
    }
    Expected {
        from: same.len(),
        steps: took.into_iter().filter_map(|(step, all)| Some((step, median(all)?))).collect(),
        total: median(same.iter().filter_map(|journal| total(journal)).collect()),
        downtime: median(same.iter().filter_map(|journal| downtime(journal)).collect()),
    }
}

/// How long each step took that was done.
fn durations(journal: &Journal) -> Vec<(Step, i64)> {
    let mut began: BTreeMap<Step, i64> = BTreeMap::new();
    let mut all = Vec::new();
    for entry in &journal.0 {
        match &entry.fact {
            Fact::Intent { step, .. } => {
                began.insert(*step, entry.at);
            }
            Fact::Done { step, .. } => all.extend(began.remove(step).map(|began| (*step, entry.at - began))),
            _ => {}
        }
    }
    all
}

fn total(journal: &Journal) -> Option<i64> {
    Some(journal.0.last()?.at - journal.0.first()?.at)
}

/// How long nobody was served, in milliseconds: from the first step that takes the application away to the one that proves
/// or lets in the new one; 0 where nothing took it away, `None` where it did not come that far.
#[must_use]
pub fn downtime(journal: &Journal) -> Option<i64> {
    let at = |wanted: fn(&Fact) -> bool| journal.0.iter().find(|entry| wanted(&entry.fact)).map(|entry| entry.at);
    let away = at(|fact| fact.intends(Step::Close) || fact.intends(Step::Stop));
    let open = at(|fact| matches!(fact, Fact::Done { step: Step::Open, .. }));
    let back = open.or_else(|| at(|fact| matches!(fact, Fact::Done { step: Step::Probe, .. })))?;
    Some(away.map_or(0, |away| (back - away).max(0)))
}

fn median(mut all: Vec<i64>) -> Option<i64> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::{Before, Entry, Inspected, Output};

    /// A deployment of steps with their times, from 0 on.
    fn journal(lane: Lane, steps: &[(Step, i64)]) -> Journal {
        let entry = |at, fact| Entry { at, boot: "b".into(), fact };
        let (mut entries, mut at) = (Vec::new(), 0);
        let inspected = Inspected::nothing(lane);
        for (step, ms) in steps {
            entries.push(entry(at, Fact::Intent { step: *step, before: Before::Nothing }));
            at += ms;
            let out = if *step == Step::Inspect { Output::Inspected(inspected.clone()) } else { Output::Nothing };
            entries.push(entry(at, Fact::Done { step: *step, out }));
        }
        Journal(entries)
    }

    #[test]
    fn medians_are_those_of_the_same_lane() {
        let code = |build| {
            let rest = [(Step::Inspect, 10), (Step::Stop, 20), (Step::Start, 30), (Step::Probe, 40), (Step::Bake, 50)];
            journal(Lane::Code, &[&[(Step::Build, build)], &rest[..]].concat())
        };
        let fenced = journal(
            Lane::Fenced,
            &[(Step::Inspect, 1), (Step::Close, 2), (Step::Stop, 3), (Step::Probe, 4), (Step::Open, 5)],
        );
        let all = [code(100), code(900), code(200), fenced];
        let found = expected(&all, Some(Lane::Code));
        assert_eq!((found.from, found.steps[&Step::Build], found.steps[&Step::Bake]), (3, 200, 50));
        assert_eq!((found.total, found.downtime), (Some(350), Some(90)));
        let found = expected(&all, Some(Lane::Fenced));
        assert_eq!((found.from, found.total, found.downtime), (1, Some(15), Some(14)));
        assert_eq!(expected(&all, None).from, 4);
        assert_eq!(expected(&all, Some(Lane::Stop)), Expected::default());
        // Nothing took it away.
        assert_eq!(downtime(&journal(Lane::Code, &[(Step::Probe, 4)])), Some(0));
        assert_eq!(downtime(&journal(Lane::Code, &[(Step::Build, 4)])), None);
    }
}
