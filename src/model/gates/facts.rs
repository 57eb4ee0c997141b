//! What gates are asked with.

use core::time::Duration;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::approval::Asked;
use super::outside::Outside;
use super::{Approval, Ci, Decision, Judgement, Override, Promotion, Signature, Windows};
use crate::model::names::{DeploymentId, Sha};
use crate::model::trigger::Forge;

/// Root's settings of the gates, `[gates]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How long a deployment waits for people: a lock, a freeze, a pause.
    pub patience: Duration,
    /// The hours of the week at which something may be deployed; `None`: always.
    pub windows: Option<Windows>,
    /// Who must sign; `None`: nobody.
    pub signature: Option<Signature>,
    /// The checks that must have ended well; `None`: none.
    pub ci: Option<Ci>,
    /// Where it must have run well; `None`: nowhere.
    pub promotion: Option<Promotion>,
    /// What a person must have approved; `None`: nothing.
    pub approval: Option<Approval>,
    /// The forge that is asked.
    pub forge: Option<ForgeApi>,
}

impl Rules {
    /// Whether somebody outside of the core has to be asked.
    #[must_use]
    pub fn look_outside(&self) -> bool {
        self.signature.is_some() || self.ci.is_some() || self.promotion.is_some()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            patience: Duration::from_hours(7 * 24),
            windows: None,
            signature: None,
            ci: None,
            promotion: None,
            approval: None,
            forge: None,
        }
    }
}

/// The forge's interface, `[gates.forge]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgeApi {
    /// Which kind.
    pub kind: Forge,
    /// The address below which it answers, without a slash at the end.
    pub api: String,
    /// The repository's path, `owner/name`.
    pub repository: String,
    /// Root's file with a token that may read; it reaches the step as a credential.
    pub token: Option<PathBuf>,
}

/// What a person, or the end of a deployment, has put in the way: of deployments, or of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// Nobody deploys.
    Lock,
    /// Nobody deploys until a moment.
    Freeze,
    /// No trigger deploys.
    Pause,
    /// People are kept out: nginx answers 503. Deployments go on behind it, so no gate asks for it.
    Maintenance,
}

impl HoldKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lock, Self::Freeze, Self::Pause, Self::Maintenance];

    /// The stored word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Freeze => "freeze",
            Self::Pause => "pause",
            Self::Maintenance => "maintenance",
        }
    }
}

/// One such thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What it is.
    pub kind: HoldKind,
    /// When it ends by itself, in milliseconds since 1970 (UTC).
    pub until: Option<i64>,
    /// Why.
    pub reason: String,
    /// Who, as a person reads it.
    pub by: String,
    /// Since when, likewise.
    pub at: i64,
}

/// A revision that has failed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Which.
    pub revision: Sha,
    /// The deployment in which it did.
    pub deployment: DeploymentId,
    /// How it ended.
    pub reason: String,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// What the core knows by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// At most one of each kind.
    pub holds: Vec<Hold>,
    /// Revisions that have failed here.
    pub quarantined: Vec<Quarantined>,
    /// What was said about the deployment that is asked for.
    pub decision: Option<Decision>,
}

impl Standing {
    /// The hold of this kind.
    #[must_use]
    pub fn hold(&self, kind: HoldKind) -> Option<&Hold> {
        self.holds.iter().find(|hold| hold.kind == kind)
    }
}

/// Everything a gate may know about one deployment, at one moment.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Now, in milliseconds since 1970 (UTC).
    pub now: i64,
    /// Root's settings.
    pub rules: &'a Rules,
    /// What holds.
    pub standing: &'a Standing,
    /// Gates that somebody wants to be passed.
    pub overrides: &'a [Override],
    /// Whether a trigger ordered it and not a person.
    pub automatic: bool,
    /// The revision; `None` where it is only asked what would be.
    pub revision: Option<&'a Sha>,
    /// The revision that runs.
    pub running: Option<&'a Sha>,
    /// Whether the revision has the running one among its ancestors; `None` where nothing runs, or nobody looked.
    pub descends: Option<bool>,
    /// What was found out outside of the core; `None`: nobody was asked.
    pub outside: Option<&'a Outside>,
    /// What is to be approved; `None` where it is only asked what would be.
    pub asked: Option<Asked<'a>>,
    /// What the gates answered the last time in this deployment.
    pub before: Option<&'a Judgement>,
}

impl Facts<'_> {
    /// A moment this much later.
    pub(super) fn soon(&self, after: Duration) -> i64 {
        self.now.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A moment as people read it, in the zone of the windows, or UTC.
pub(super) fn moment(ms: i64, rules: &Rules) -> String {
    let zone = rules.windows.as_ref().map_or(jiff::tz::TimeZone::UTC, |windows| windows.zone.clone());
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(at) => at.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}
