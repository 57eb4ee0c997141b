//! What gates are asked with.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Override, Windows};
use crate::model::names::{DeploymentId, Sha};

/// Root's settings of the gates, `[gates]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How long a deployment waits for people: a lock, a freeze, a pause.
    pub patience: Duration,
    /// The hours of the week at which something may be deployed; `None`: always.
    pub windows: Option<Windows>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { patience: Duration::from_hours(7 * 24), windows: None }
    }
}

/// What a person, or the end of a deployment, has put in the way of all that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// Nobody deploys.
    Lock,
    /// Nobody deploys until a moment.
    Freeze,
    /// No trigger deploys.
    Pause,
}

impl HoldKind {
    /// The stored word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Freeze => "freeze",
            Self::Pause => "pause",
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
}

/// A moment as people read it, in the zone of the windows, or UTC.
pub(super) fn moment(ms: i64, rules: &Rules) -> String {
    let zone = rules.windows.as_ref().map_or(jiff::tz::TimeZone::UTC, |windows| windows.zone.clone());
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(at) => at.to_zoned(zone).strftime("%a %Y-%m-%d %H:%M %Z").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}
