//! The two places in which a release can run side by side behind one socket.

use serde::{Deserialize, Serialize};

/// One of the two slots. After a boot it is always the first one that serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Both.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The instance of the unit, and the name of its link.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// A link that says which release runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// The release that is live, for people and for every unit outside of the slots.
    Current,
    /// What runs in this slot; of an idle slot always the release that is live.
    Slot(Slot),
}

impl Link {
    /// Its name in the folder of the links.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Slot(slot) => slot.word(),
        }
    }
}

/// What the launcher in a slot says of itself, in the status of its unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether it accepts requests of users.
    pub accepting: bool,
    /// Requests it has answered in this run.
    pub requests: u64,
    /// Those of them that it answered with an error of its own (5xx).
    pub errors: u64,
    /// Requests and connections that are not finished.
    pub open: u64,
}

impl Told {
    /// Reads "accepting: 120 requests, 3 errors, 2 open"; `None` for anything else.
    #[must_use]
    pub fn read(status: &str) -> Option<Self> {
        let (state, counts) = status.split_once(": ")?;
        let accepting = match state {
            "accepting" => true,
            "standing by" => false,
            _ => return None,
        };
        let mut told = Self { accepting, ..Self::default() };
        for part in counts.split(", ") {
            let (number, what) = part.split_once(' ')?;
            let number = number.parse().ok()?;
            match what {
                "requests" => told.requests = number,
                "errors" => told.errors = number,
                "open" => told.open = number,
                _ => return None,
            }
        }
        Some(told)
    }

    /// Whether so many requests fail that the release is not good, measured against what the old one did: an
    /// application that always had errors may have them.
    #[must_use]
    pub fn fails_too_often(&self, old: &Self) -> bool {
        /// Below this, one unlucky request would decide.
        const ENOUGH: u64 = 20;
        let rate = |told: &Self| told.errors.saturating_mul(100).checked_div(told.requests).unwrap_or_default();
        self.requests >= ENOUGH && rate(self) >= 5 + 2 * rate(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_launcher_says_is_read_back() {
        let told = Told { accepting: true, requests: 120, errors: 3, open: 2 };
        assert_eq!(Told::read("accepting: 120 requests, 3 errors, 2 open"), Some(told));
        assert_eq!(Told::read("standing by: 0 requests, 0 errors, 0 open"), Some(Told::default()));
        for other in ["", "Running", "starting", "accepting: x requests", "held: waits"] {
            assert_eq!(Told::read(other), None, "{other}");
        }
    }

    #[test]
    fn errors_count_against_what_was_usual() {
        let of = |requests, errors| Told { requests, errors, ..Told::default() };
        assert!(of(100, 5).fails_too_often(&of(1000, 0)));
        assert!(!of(100, 4).fails_too_often(&of(1000, 0)));
        assert!(!of(19, 19).fails_too_often(&of(0, 0)), "too few to tell");
        assert!(!of(100, 10).fails_too_often(&of(1000, 60)), "the old one did the same");
        assert!(of(100, 20).fails_too_often(&of(1000, 60)));
    }
}
