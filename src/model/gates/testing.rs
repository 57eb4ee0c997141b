//! Facts for tests.

use super::approval::Asked;
use super::outside::Outside;
use super::*;
use crate::model::journal::Pending;
use crate::model::names::{DeploymentId, Sha};

/// A revision of one digit.
#[must_use]
pub fn sha(digit: char) -> Sha {
    digit.to_string().repeat(40).parse().unwrap()
}

/// A hold of this kind since the beginning of time.
#[must_use]
pub fn hold(kind: HoldKind, until: Option<i64>) -> Hold {
    Hold { kind, until, reason: "stocktaking".into(), by: "olga".into(), at: 0 }
}

/// Everything that facts borrow.
pub struct Case {
    /// See [`Facts`].
    pub rules: Rules,
    /// See [`Facts`].
    pub standing: Standing,
    /// See [`Facts`].
    pub overrides: Vec<Override>,
    /// See [`Facts`].
    pub automatic: bool,
    /// See [`Facts`].
    pub revision: Option<Sha>,
    /// See [`Facts`].
    pub running: Option<Sha>,
    /// See [`Facts`].
    pub descends: Option<bool>,
    /// See [`Facts`].
    pub outside: Outside,
    /// The pending migrations, once they are known.
    pub pending: Option<Vec<Pending>>,
    /// The digest of the settings.
    pub configuration: &'static str,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            standing: Standing::default(),
            overrides: Vec::new(),
            automatic: true,
            revision: Some(sha('b')),
            running: Some(sha('a')),
            descends: Some(true),
            outside: Outside::default(),
            pending: None,
            configuration: "c",
        }
    }
}

impl Case {
    /// With a revision that has failed here.
    #[must_use]
    pub fn failed(mut self, revision: Sha) -> Self {
        let deployment = DeploymentId(7);
        self.standing.quarantined.push(Quarantined { revision, deployment, reason: "was rolled back".into(), at: 0 });
        self
    }

    /// What the gates answer at this moment.
    #[must_use]
    pub fn judge(&self, now: i64, before: Option<&Judgement>) -> Judgement {
        let facts = Facts {
            now,
            rules: &self.rules,
            standing: &self.standing,
            overrides: &self.overrides,
            automatic: self.automatic,
            revision: self.revision.as_ref(),
            running: self.running.as_ref(),
            descends: self.descends,
            outside: Some(&self.outside),
            asked: Some(Asked {
                deployment: DeploymentId(7),
                by: "olga",
                trigger: if self.automatic { "webhook" } else { "person" },
                pending: self.pending.as_deref(),
                configuration: "c",
                configuration_now: self.configuration,
                decision: self.standing.decision.as_ref(),
            }),
            before,
        };
        judge(&facts)
    }

    /// What one gate answers at the beginning of time.
    #[must_use]
    pub fn ask(&self, gate: Gate) -> Reply {
        self.judge(0, None).of(gate).unwrap().reply
    }
}
