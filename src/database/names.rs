//! The names of databases that the agent makes beside the live one. Whatever has such a name may be forgotten;
//! nothing else ever may.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::model::names::DeploymentId;

/// PostgreSQL cuts longer names silently.
const LONGEST: usize = 63;
/// `_quarantine_` and the ten digits of the largest number.
const ENDING: usize = 22;

/// Why a database stands aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The copy made behind the fence: the rollback point.
    Twin,
    /// A backup, restored beside the live database.
    Restored,
    /// A database that was live and was renamed aside.
    Quarantine,
}

/// A database beside the live one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    name: String,
    /// Why it is there.
    pub kind: Kind,
    /// The deployment that made it.
    pub deployment: DeploymentId,
}

impl Kind {
    /// The word between the live database's name and the deployment.
    #[must_use]
    pub fn infix(self) -> &'static str {
        match self {
            Self::Twin => "pre",
            Self::Restored => "restored",
            Self::Quarantine => "quarantine",
        }
    }
}

impl Aside {
    /// The twin of `db` for a deployment.
    #[must_use]
    pub fn twin(db: &str, deployment: DeploymentId) -> Self {
        Self::new(db, Kind::Twin, deployment)
    }

    /// The database in which a restore makes a backup of `db` ready.
    #[must_use]
    pub fn restored(db: &str, deployment: DeploymentId) -> Self {
        Self::new(db, Kind::Restored, deployment)
    }

    /// The quarantine of `db` for a deployment.
    #[must_use]
    pub fn quarantine(db: &str, deployment: DeploymentId) -> Self {
        Self::new(db, Kind::Quarantine, deployment)
    }

    /// The database called `name`, if that is the name of one beside `db`.
    #[must_use]
    pub fn parse(db: &str, name: &str) -> Option<Self> {
        [Kind::Twin, Kind::Restored, Kind::Quarantine].into_iter().find_map(|kind| {
            let number = name.strip_prefix(&stem(db))?.strip_prefix(&format!("_{}_", kind.infix()))?;
            let found = Self::new(db, kind, number.parse().ok()?);
            // "+7" and "007" are numbers too, but not names of ours.
            (found.name == name).then_some(found)
        })
    }

    /// Its name in PostgreSQL, at most 63 bytes.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn new(db: &str, kind: Kind, deployment: DeploymentId) -> Self {
        Self { name: format!("{}_{}_{deployment}", stem(db), kind.infix()), kind, deployment }
    }
}

/// The live database's name, or, where there is no room for all of it, its beginning and a digest of the whole.
fn stem(db: &str) -> String {
    if db.len() + ENDING <= LONGEST {
        return db.to_owned();
    }
    let mut end = LONGEST - ENDING - 9;
    while !db.is_char_boundary(end) {
        end -= 1;
    }
    let mut stem = format!("{}_", &db[..end]);
    for byte in &Sha256::digest(db.as_bytes())[..4] {
        let _ = write!(stem, "{byte:02x}");
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_are_found_again() {
        for db in ["erp", "a-b c\"d", &"x".repeat(63), &"é".repeat(31)] {
            for aside in [
                Aside::twin(db, DeploymentId(u32::MAX)),
                Aside::restored(db, DeploymentId(7)),
                Aside::quarantine(db, DeploymentId(1)),
            ] {
                assert!(aside.name().len() <= 63, "{}", aside.name());
                assert_eq!(Aside::parse(db, aside.name()), Some(aside));
            }
        }
        let (one, other) = (format!("{}a", "x".repeat(60)), format!("{}b", "x".repeat(60)));
        assert_ne!(Aside::twin(&one, DeploymentId(1)), Aside::twin(&other, DeploymentId(1)));
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in [
            "erp",
            "erp_pre_",
            "erp_pre_+7",
            "erp_pre_007",
            "erp_pre_7x",
            "erp_prepare_7",
            "shop_pre_7",
            "erp_restore_7",
            "",
        ] {
            assert_eq!(Aside::parse("erp", name), None, "{name}");
        }
    }
}
