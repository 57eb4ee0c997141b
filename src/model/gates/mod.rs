//! Gates: rules that must agree before a deployment goes on. A gate is a file: facts go in, an answer comes out, and
//! nothing is looked up here.
//!
//! A rollback to a kept release is asked by none of them.

mod ancestry;
pub mod approval;
mod ci;
mod facts;
mod freeze;
mod lock;
pub mod outside;
mod pause;
mod promotion;
mod quarantine;
mod signature;
#[cfg(test)]
pub mod testing;
mod windows;

use core::time::Duration;

use serde::{Deserialize, Serialize};

pub use approval::{Approval, Decision};
pub use ci::Ci;
pub use facts::{Facts, ForgeApi, Hold, HoldKind, Quarantined, Rules, Standing};
pub use promotion::{From as PromotedFrom, Promotion};
pub use signature::Signature;
pub use windows::{BadWindow, Window, Windows};

/// One rule. The stored names are a promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// A person has locked the application.
    Lock,
    /// Nothing is deployed until a moment.
    Freeze,
    /// Only at certain hours of the week.
    Windows,
    /// Automatic deployments rest after a rollback.
    Pause,
    /// A revision that failed is not tried again by itself.
    Quarantine,
    /// Automatic deployments only move forward.
    Ancestry,
    /// Every new commit is signed.
    Signature,
    /// Checks of the forge.
    Ci,
    /// Another environment runs it well.
    Promotion,
    /// A person has approved it.
    Approval,
}

impl Gate {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 10] = [
        Self::Lock,
        Self::Freeze,
        Self::Windows,
        Self::Pause,
        Self::Quarantine,
        Self::Ancestry,
        Self::Signature,
        Self::Ci,
        Self::Promotion,
        Self::Approval,
    ];

    /// The word that people read and type.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Freeze => "freeze",
            Self::Windows => "windows",
            Self::Pause => "pause",
            Self::Quarantine => "quarantine",
            Self::Ancestry => "ancestry",
            Self::Signature => "signature",
            Self::Ci => "ci",
            Self::Promotion => "promotion",
            Self::Approval => "approval",
        }
    }

    fn ask(self, facts: &Facts<'_>) -> Said {
        match self {
            Self::Lock => lock::ask(facts),
            Self::Freeze => freeze::ask(facts),
            Self::Windows => windows::ask(facts),
            Self::Pause => pause::ask(facts),
            Self::Quarantine => quarantine::ask(facts),
            Self::Ancestry => ancestry::ask(facts),
            Self::Signature => signature::ask(facts),
            Self::Ci => ci::ask(facts),
            Self::Promotion => promotion::ask(facts),
            Self::Approval => approval::ask(facts),
        }
    }

    /// How long a deployment waits for it; then it refuses.
    fn patience(self, rules: &Rules) -> Duration {
        let own = match self {
            Self::Windows => rules.windows.as_ref().map(|rule| rule.wait),
            Self::Ci => rules.ci.as_ref().map(|rule| rule.wait),
            Self::Promotion => rules.promotion.as_ref().map(|rule| rule.wait),
            Self::Approval => rules.approval.as_ref().map(|rule| rule.wait),
            Self::Lock | Self::Freeze | Self::Pause | Self::Quarantine | Self::Ancestry | Self::Signature => None,
        };
        own.unwrap_or(rules.patience)
    }
}

impl std::str::FromStr for Gate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|gate| gate.word() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::word).join(", ");
            format!("there is no gate {text:?}; there are {known}")
        })
    }
}

/// What a gate answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It is not in force for this application or this deployment.
    Off,
    /// It agrees.
    Pass,
    /// It would not agree, and somebody who may has said to go on.
    Overridden,
    /// Nobody knows before there is a revision to ask about.
    Open,
    /// Not yet; at the latest at this moment (milliseconds since 1970, UTC) it is asked again.
    Wait {
        /// When; `None`: when somebody does something.
        until: Option<i64>,
    },
    /// No.
    Refuse,
}

/// A gate's answer, with everything that a person has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Which gate.
    pub gate: Gate,
    /// Its answer.
    pub reply: Reply,
    /// Why, in one sentence.
    pub reason: String,
    /// Who can lift it, and with what.
    pub lift: Option<String>,
    /// Since when it has been waited for without interruption, in milliseconds since 1970 (UTC).
    pub since: Option<i64>,
    /// Since when it was seen that another environment runs well, in milliseconds since 1970 (UTC).
    #[serde(default)]
    pub seen: Option<i64>,
}

/// A gate that somebody wants to be passed whatever it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Which.
    pub gate: Gate,
    /// Why, for those who ask later.
    pub reason: String,
}

/// What all gates answered at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// Their answers, in the order of [`Gate::ALL`], without those that are not in force.
    pub answers: Vec<Answer>,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// All agree.
    Pass,
    /// Not yet; all are asked again at this moment, or when somebody does something.
    Wait(Option<i64>),
    /// At least one says no.
    Refuse,
}

impl Judgement {
    /// What follows: one refusal is enough, and all must be waited for.
    #[must_use]
    pub fn ruling(&self) -> Ruling {
        let mut until = None;
        let mut waits = false;
        for answer in &self.answers {
            match answer.reply {
                Reply::Refuse => return Ruling::Refuse,
                Reply::Wait { until: at } => {
                    waits = true;
                    // The first one that may have changed its mind: then all are asked again.
                    until = [until, at].into_iter().flatten().min();
                }
                Reply::Off | Reply::Pass | Reply::Overridden | Reply::Open => {}
            }
        }
        if waits { Ruling::Wait(until) } else { Ruling::Pass }
    }

    /// Forgets the gates that are not in force, which nobody wants to read in a journal.
    pub fn keep_what_is_in_force(&mut self) {
        self.answers.retain(|answer| answer.reply != Reply::Off);
    }

    /// Takes the answers of an earlier judgement where this one could not ask.
    pub fn keep_open_ones_from(&mut self, earlier: Option<&Self>) {
        for answer in self.answers.iter_mut().filter(|answer| answer.reply == Reply::Open) {
            if let Some(known) = earlier.and_then(|earlier| earlier.of(answer.gate)) {
                answer.clone_from(known);
            }
        }
    }

    /// The answer of one gate.
    #[must_use]
    pub fn of(&self, gate: Gate) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.gate == gate)
    }

    /// Those that stand in the way.
    pub fn against(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|answer| matches!(answer.reply, Reply::Refuse | Reply::Wait { .. }))
    }

    /// What stands in the way, in one line: "lock: locked by olga: stocktaking".
    #[must_use]
    pub fn words(&self) -> String {
        let against: Vec<String> =
            self.against().map(|answer| format!("{}: {}", answer.gate.word(), answer.reason)).collect();
        against.join("; ")
    }
}

/// What one gate says by itself, before patience and overrides.
struct Said {
    reply: Reply,
    reason: String,
    lift: Option<String>,
    seen: Option<i64>,
}

impl Said {
    fn new(reply: Reply, reason: impl Into<String>) -> Self {
        Self { reply, reason: reason.into(), lift: None, seen: None }
    }

    fn off() -> Self {
        Self::new(Reply::Off, "not configured")
    }

    fn pass(reason: impl Into<String>) -> Self {
        Self::new(Reply::Pass, reason)
    }

    /// It is in force, and whoever was to ask has not: that is no yes.
    fn unasked() -> Self {
        Self::refuse("it was not asked: this is a fault of the gates' unit").lift("`journalctl -u 'tsh-agent-gates@*'`")
    }

    fn open() -> Self {
        Self::new(Reply::Open, "asked for each revision")
    }

    fn wait(until: Option<i64>, reason: impl Into<String>) -> Self {
        Self::new(Reply::Wait { until }, reason)
    }

    fn refuse(reason: impl Into<String>) -> Self {
        Self::new(Reply::Refuse, reason)
    }

    fn seen(mut self, since: i64) -> Self {
        self.seen = Some(since);
        self
    }

    fn lift(mut self, lift: impl Into<String>) -> Self {
        self.lift = Some(lift.into());
        self
    }
}

/// Asks every gate. Patience counts from what they answered before.
#[must_use]
pub fn judge(facts: &Facts<'_>) -> Judgement {
    Judgement { answers: Gate::ALL.into_iter().map(|gate| answer(gate, facts)).collect() }
}

fn answer(gate: Gate, facts: &Facts<'_>) -> Answer {
    let said = gate.ask(facts);
    let mut answer =
        Answer { gate, reply: said.reply, reason: said.reason, lift: said.lift, since: None, seen: said.seen };
    if let Reply::Wait { until } = answer.reply {
        let earlier = facts.before.and_then(|before| before.of(gate)?.since);
        let since = earlier.unwrap_or(facts.now);
        let patience = gate.patience(facts.rules);
        let end = since.saturating_add(i64::try_from(patience.as_millis()).unwrap_or(i64::MAX));
        answer.since = Some(since);
        if facts.now >= end {
            answer.reply = Reply::Refuse;
            answer.reason = format!("waited {} in vain: {}", spoken(patience), answer.reason);
        } else {
            answer.reply = Reply::Wait { until: Some(until.map_or(end, |until| until.min(end))) };
        }
    }
    let overridden = facts.overrides.iter().find(|given| given.gate == gate);
    if let (Reply::Refuse | Reply::Wait { .. }, Some(given)) = (answer.reply, overridden) {
        answer.reply = Reply::Overridden;
        answer.reason = format!("{} (overridden: {})", answer.reason, given.reason);
        answer.lift = None;
    }
    answer
}

/// A duration in the words of the configuration: "168h", "30m".
fn spoken(duration: Duration) -> String {
    match jiff::SignedDuration::try_from(duration) {
        Ok(signed) => format!("{signed:#}"),
        Err(_) => format!("{} s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests;
