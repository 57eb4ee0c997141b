//! Promotion: another environment has run exactly this revision, and well, for long enough.

use core::time::Duration;
use std::collections::BTreeMap;

use super::facts::{Facts, moment};
use super::outside::Told;
use super::{Gate, Said};

/// `[gates.promotion]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Promotion {
    /// Who is asked.
    pub from: From,
    /// How long it must have run well there.
    pub healthy: Duration,
    /// How long a deployment waits for that.
    pub wait: Duration,
    /// How often it is asked meanwhile.
    pub every: Duration,
}

/// Who is asked about the other environment.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// Something that answers in JSON: a health check, or another agent's status.
    Url {
        /// Where.
        url: String,
        /// JSON pointer to the revision that it runs.
        revision: String,
        /// JSON pointer to the moment since when, in RFC 3339 or milliseconds since 1970, where it tells.
        since: Option<String>,
        /// JSON pointer → value that must be there.
        json: BTreeMap<String, serde_json::Value>,
    },
    /// The forge's newest deployment to this environment.
    Environment(String),
}

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    let Some(rule) = &facts.rules.promotion else { return Said::off() };
    let (Some(outside), Some(revision)) = (facts.outside, facts.revision) else { return Said::open() };
    let Some(told) = &outside.promotion else { return Said::unasked() };
    let again = Some(facts.soon(rule.every));
    let by = "the other environment; or a person with `--override promotion`";
    let found = match told {
        Told::Known(found) => found,
        Told::NotNow(why) => return Said::wait(again, why).lift(by),
        Told::Never(why) => return Said::refuse(why).lift("root: `[gates.promotion]` in the settings"),
    };
    match &found.revision {
        Some(other) if other == revision => {}
        Some(other) => {
            return Said::wait(again, format!("there runs {}, not {}", other.short(), revision.short())).lift(by);
        }
        None => return Said::wait(again, "it does not say which revision runs there").lift(by),
    }
    if let Some(why) = &found.unwell {
        return Said::wait(again, format!("it is not well there: {why}")).lift(by);
    }
    // Where it does not tell since when, what was seen without interruption counts.
    let seen = facts.before.and_then(|before| before.of(Gate::Promotion)?.seen);
    let since = found.since.or(seen).unwrap_or(facts.now).min(facts.now);
    let enough = since.saturating_add(i64::try_from(rule.healthy.as_millis()).unwrap_or(i64::MAX));
    let since_words = moment(since, facts.rules);
    if facts.now >= enough {
        return Said::pass(format!("{} runs well there since {since_words}", revision.short())).seen(since);
    }
    Said::wait(Some(enough.min(facts.soon(rule.every))), format!("runs well there only since {since_words}"))
        .seen(since)
        .lift(by)
}
