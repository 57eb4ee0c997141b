//! Databases that were live and were set aside: how long each is kept.

use serde::{Deserialize, Serialize};

use super::names::{BackupName, DeploymentId};

/// One of them, as the interface lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineView {
    /// Its name in PostgreSQL.
    pub database: String,
    /// The deployment, rollback or restore that set it aside.
    pub deployment: DeploymentId,
    /// What it says about itself.
    pub comment: Option<String>,
    /// Size on disk in bytes.
    pub bytes: u64,
    /// Since when, in milliseconds since 1970 (UTC), as far as that is known.
    pub since: Option<i64>,
    /// Until when it is kept at least, likewise.
    pub until: Option<i64>,
    /// Rows that only it has, if they were counted.
    pub rows: Option<u64>,
    /// A dump of it that was restored and matched.
    pub dump: Option<BackupName>,
}

/// What has to be known before one is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// When the deployment ended, in milliseconds since 1970 (UTC); `None`: it is open, or nobody knows of it.
    pub ended: Option<i64>,
    /// Whether the deployment waits for a person, who may want to go back to this very database.
    pub needed: bool,
    /// Whether there is a dump of it that was restored and matched.
    pub dumped: bool,
}

/// What becomes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Kept,
    /// Its time is over, but there is no proven dump of it yet.
    ToBeDumped,
    /// It may go.
    Goes,
}

/// Until when it is kept at least.
#[must_use]
pub fn until(ended: i64, days: u32) -> i64 {
    ended + i64::from(days) * 86_400_000
}

/// Decides.
#[must_use]
pub fn fate(facts: Facts, days: u32, now: i64) -> Fate {
    match facts {
        Facts { ended: Some(ended), needed: false, dumped } if until(ended, days) < now => {
            if dumped {
                Fate::Goes
            } else {
                Fate::ToBeDumped
            }
        }
        _ => Fate::Kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_goes_without_a_proven_dump_or_while_it_may_be_needed() {
        const DAY: i64 = 86_400_000;
        let facts = |ended, needed, dumped| Facts { ended, needed, dumped };
        for (facts, fate_) in [
            (facts(Some(0), false, true), Fate::Goes),
            (facts(Some(0), false, false), Fate::ToBeDumped),
            (facts(Some(0), true, true), Fate::Kept),
            (facts(Some(DAY), false, true), Fate::Kept),
            (facts(None, false, true), Fate::Kept),
        ] {
            assert_eq!(fate(facts, 7, 7 * DAY + 1), fate_, "{facts:?}");
        }
    }
}
