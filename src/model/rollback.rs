//! What a rollback has to do about the database.

use super::journal::Inspected;
use super::lane::Lane;

/// What a rollback has to do about the database, by the cases of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Case 0: the database is as it was; only code moves back.
    Unchanged,
    /// Case 2: the twin becomes live, and the failed database is kept aside.
    SwapBack,
    /// Case 3: there is nothing to go back to without losing something; a person decides.
    ByHand,
}

/// Decides from facts, before the commit point.
///
/// `migrated` tells whether the migration was ever begun, `now` is the fingerprint of the schema as it is, and
/// `transactional` tells that all of the migration is the tool's own work in transactions: no commands around it.
/// Without that, an equal schema does not prove equal rows.
#[must_use]
pub fn decide(inspected: &Inspected, migrated: bool, now: Option<&str>, transactional: bool) -> Move {
    let undone = transactional
        && inspected.pending.iter().all(|migration| !migration.nontransactional)
        && now.is_some()
        && inspected.fingerprint.as_deref() == now;
    if !migrated || inspected.pending.is_empty() || undone {
        Move::Unchanged
    } else if inspected.lane == Lane::Fenced {
        Move::SwapBack
    } else {
        Move::ByHand
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::Pending;

    fn inspected(lane: Lane, nontransactional: bool) -> Inspected {
        let pending = vec![Pending { revision: "b".parse().unwrap(), title: "adds a column".into(), nontransactional }];
        Inspected { lane, current: vec![], target: vec![], pending, fingerprint: Some("f".into()) }
    }

    #[test]
    fn only_what_is_proven_counts_as_unchanged() {
        let fenced = inspected(Lane::Fenced, false);
        assert_eq!(decide(&fenced, false, None, false), Move::Unchanged, "it was never begun");
        assert_eq!(decide(&fenced, true, Some("f"), true), Move::Unchanged, "PostgreSQL undid it");
        assert_eq!(decide(&fenced, true, Some("g"), true), Move::SwapBack, "the schema moved");
        assert_eq!(decide(&fenced, true, None, true), Move::SwapBack, "nobody looked");
        assert_eq!(decide(&fenced, true, Some("f"), false), Move::SwapBack, "a command may have changed rows");
        assert_eq!(
            decide(&inspected(Lane::Fenced, true), true, Some("f"), true),
            Move::SwapBack,
            "it may have committed"
        );
    }

    #[test]
    fn without_a_twin_a_person_decides() {
        assert_eq!(decide(&inspected(Lane::Stop, false), true, Some("g"), true), Move::ByHand);
        assert_eq!(decide(&inspected(Lane::Stop, false), true, Some("f"), true), Move::Unchanged);
    }

    #[test]
    fn code_alone_never_moves_the_database() {
        let code = Inspected { pending: vec![], ..inspected(Lane::Code, false) };
        assert_eq!(decide(&code, true, Some("g"), false), Move::Unchanged);
    }
}
