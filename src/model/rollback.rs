//! What a rollback has to do about the database.

use super::journal::Inspected;
use super::lane::Lane;

/// What a rollback has to do about the database, by the cases of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Case 0: the database is as it was; only code moves back.
    Unchanged,
    /// Case 1: the schema stays ahead, for the old release was proven to live on it; only code moves back.
    Ahead,
    /// Case 2: the twin becomes live, and the failed database is kept aside.
    SwapBack,
    /// Case 3: there is nothing to go back to without losing something; a person decides.
    ByHand,
}

/// What is known when it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// The way through production.
    pub lane: Lane,
    /// Whether the migration was ever begun.
    pub migrated: bool,
    /// The fingerprint of the schema as it is, where somebody looked.
    pub now: Option<&'a str>,
    /// Whether the database is exactly where the migration should have ended.
    pub arrived: bool,
    /// Whether all of the migration is the tool's own work in transactions: no commands around it. Without that, an
    /// equal schema does not prove equal rows.
    pub transactional: bool,
}

/// Decides from facts, before the commit point.
#[must_use]
pub fn decide(inspected: &Inspected, facts: &Facts<'_>) -> Move {
    let undone = facts.transactional
        && inspected.pending.iter().all(|migration| !migration.nontransactional)
        && facts.now.is_some()
        && inspected.fingerprint.as_deref() == facts.now;
    if !facts.migrated || inspected.pending.is_empty() || undone {
        return Move::Unchanged;
    }
    match facts.lane {
        Lane::Fenced => Move::SwapBack,
        // It was one transaction, so there is no third state; what is neither was somebody else.
        Lane::Online if facts.arrived => Move::Ahead,
        Lane::Online | Lane::Stop | Lane::Code => Move::ByHand,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::Pending;

    fn inspected(nontransactional: bool) -> Inspected {
        let pending = vec![Pending { revision: "b".parse().unwrap(), title: "adds a column".into(), nontransactional }];
        Inspected { pending, fingerprint: Some("f".into()), ..Inspected::nothing(Lane::Fenced) }
    }

    fn facts(lane: Lane, now: Option<&str>) -> Facts<'_> {
        Facts { lane, migrated: true, now, arrived: false, transactional: true }
    }

    #[test]
    fn only_what_is_proven_counts_as_unchanged() {
        let (seen, fenced) = (inspected(false), facts(Lane::Fenced, None));
        assert_eq!(decide(&seen, &Facts { migrated: false, ..fenced }), Move::Unchanged, "it was never begun");
        assert_eq!(decide(&seen, &facts(Lane::Fenced, Some("f"))), Move::Unchanged, "PostgreSQL undid it");
        assert_eq!(decide(&seen, &facts(Lane::Fenced, Some("g"))), Move::SwapBack, "the schema moved");
        assert_eq!(decide(&seen, &fenced), Move::SwapBack, "nobody looked");
        let around = Facts { transactional: false, ..facts(Lane::Fenced, Some("f")) };
        assert_eq!(decide(&seen, &around), Move::SwapBack, "a command may have changed rows");
        let half = inspected(true);
        assert_eq!(decide(&half, &facts(Lane::Fenced, Some("f"))), Move::SwapBack, "it may have committed");
    }

    #[test]
    fn without_a_twin_a_person_decides() {
        assert_eq!(decide(&inspected(false), &facts(Lane::Stop, Some("g"))), Move::ByHand);
        assert_eq!(decide(&inspected(false), &facts(Lane::Stop, Some("f"))), Move::Unchanged);
    }

    #[test]
    fn online_the_schema_stays_where_it_was_proven() {
        let arrived = Facts { arrived: true, ..facts(Lane::Online, Some("g")) };
        assert_eq!(decide(&inspected(false), &arrived), Move::Ahead);
        assert_eq!(decide(&inspected(false), &facts(Lane::Online, Some("f"))), Move::Unchanged);
        assert_eq!(decide(&inspected(false), &facts(Lane::Online, Some("g"))), Move::ByHand, "neither here nor there");
    }

    #[test]
    fn code_alone_never_moves_the_database() {
        let code = Inspected { pending: vec![], ..inspected(false) };
        let around = Facts { transactional: false, ..facts(Lane::Code, Some("g")) };
        assert_eq!(decide(&code, &around), Move::Unchanged);
    }
}
