//! Approval: a person has seen exactly this revision with exactly these migrations under exactly these settings.
//!
//! The migrations are known after the inspection, so before that the gate is open, and it is at clearance that it has a
//! deployment wait.

use core::time::Duration;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Said;
use super::facts::Facts;
use crate::model::journal::Pending;
use crate::model::names::{DeploymentId, Sha};

/// `[gates.approval]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The words of the triggers whose deployments need one.
    pub required: Vec<String>,
    /// Whether who asked for a deployment may not approve it.
    pub by_another: bool,
    /// How long a deployment waits for it.
    pub wait: Duration,
}

/// What somebody said about one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What it is about, as [`content`] has it.
    pub content: String,
    /// Yes or no.
    pub approved: bool,
    /// Who, as the bus knows it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since 1970 (UTC).
    pub at: i64,
}

/// A name for what is approved: another revision, another migration or another setting has another name.
#[must_use]
pub fn content(revision: &Sha, pending: &[Pending], configuration: &str) -> String {
    let mut text = format!("{revision}\n{configuration}\n");
    for migration in pending {
        let _ = writeln!(text, "{} {}", migration.revision, migration.nontransactional);
    }
    let hash = Sha256::digest(text);
    hash.iter().take(8).fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// What a deployment has to be approved of.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Who asked for it.
    pub by: &'a str,
    /// The word of its trigger.
    pub trigger: &'a str,
    /// The pending migrations; `None` before the inspection.
    pub pending: Option<&'a [Pending]>,
    /// The digest of the settings that it is carried out with.
    pub configuration: &'a str,
    /// The digest of the settings as they are now.
    pub configuration_now: &'a str,
    /// What was said about it last.
    pub decision: Option<&'a Decision>,
}

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    let Some(rule) = &facts.rules.approval else { return Said::off() };
    let Some(asked) = &facts.asked else { return Said::open() };
    if !rule.required.iter().any(|word| word == asked.trigger) {
        return Said::pass(format!("not needed for what comes from {}", article(asked.trigger)));
    }
    let (Some(pending), Some(revision)) = (asked.pending, facts.revision) else {
        return Said::new(super::Reply::Open, "asked when the pending migrations are known");
    };
    if asked.configuration != asked.configuration_now {
        return Said::refuse("the settings have changed since this deployment began, so no approval of it holds")
            .lift("an operator: deploy again");
    }
    let content = content(revision, pending, asked.configuration);
    let id = asked.deployment;
    let how = format!("an operator: `tsh-agent approve {id}` or `tsh-agent reject {id}`");
    let what = match pending.len() {
        0 => "no migration".to_owned(),
        1 => format!("migration {}", pending[0].revision),
        n => format!("{n} migrations"),
    };
    match asked.decision {
        None => Said::wait(None, format!("nobody has approved {} with {what} ({content})", revision.short())).lift(how),
        Some(said) if said.content != content => {
            let verb = if said.approved { "approved" } else { "rejected" };
            Said::wait(None, format!("{} {verb} something else ({}), and now it is {content}", said.by, said.content))
                .lift(how)
        }
        Some(said) if !said.approved => Said::refuse(format!("rejected by {}: {}", said.by, said.reason))
            .lift("who has rejected it; then deploy again"),
        Some(said) if rule.by_another && said.by == asked.by => {
            Said::wait(None, format!("{} asked for it, so another one has to approve it", said.by)).lift(how)
        }
        Some(said) => Said::pass(format!("{} with {what} approved by {}", revision.short(), said.by)),
    }
}

fn article(trigger: &str) -> String {
    if trigger.starts_with('a') { format!("an {trigger}") } else { format!("a {trigger}") }
}
