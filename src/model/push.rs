//! Pushes: hints that there may be something new. Nothing of a hint is obeyed; what is deployed is what the remote says
//! when it is asked, pinned to one commit.

use serde::{Deserialize, Serialize};

use super::names::{App, Delivery, DeploymentId, Sender, Sha};
use super::trigger::{Forge, Trigger};

/// What a sender says about a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hint {
    /// The kind of forge, if it was one.
    pub forge: Option<Forge>,
    /// Its id of the delivery.
    pub delivery: Option<Delivery>,
    /// Who pushed.
    pub sender: Option<Sender>,
    /// The commit that the branch points to since.
    pub revision: Option<Sha>,
}

/// What is expected of one application's forge: root's file, which PID 1 hands to the network face and to nobody else.
/// It cannot be printed, because it holds a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The kind of forge.
    pub forge: Forge,
    /// The repository, as the forge names it.
    pub repository: String,
    /// The branch that is deployed.
    pub branch: String,
    /// What only the forge and this server know.
    pub secret: String,
}

/// A push as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// What caused it.
    pub trigger: Trigger,
    /// Who, as a person reads it.
    pub by: String,
    /// The commit that the sender names.
    pub revision: Option<Sha>,
}

impl Push {
    /// The forge's id of it.
    #[must_use]
    pub fn delivery(&self) -> Option<&Delivery> {
        match &self.trigger {
            Trigger::Webhook { delivery, .. } => delivery.as_ref(),
            _ => None,
        }
    }
}

/// How far a push is. The words are stored and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushState {
    /// Its turn has not come.
    Waiting,
    /// A deployment came of it.
    Taken,
    /// The remote had nothing new.
    NothingNew,
    /// A newer one went before.
    Superseded,
    /// It may not be deployed.
    Refused,
}

impl PushState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Taken, Self::NothingNew, Self::Superseded, Self::Refused];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Taken => "taken",
            Self::NothingNew => "nothing-new",
            Self::Superseded => "superseded",
            Self::Refused => "refused",
        }
    }
}

/// A push as the interface shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushView {
    /// Its number; they are counted by themselves, not with the deployments.
    pub id: u32,
    /// The application.
    pub app: App,
    /// When it came, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// What caused it.
    pub trigger: Trigger,
    /// Who, as a person reads it.
    pub by: String,
    /// The commit that the sender names.
    pub revision: Option<Sha>,
    /// How far it is.
    pub state: PushState,
    /// Why it waits, or why nothing was done; empty where there is nothing to say.
    pub note: String,
    /// The deployment that came of it.
    pub deployment: Option<DeploymentId>,
}

/// What to do about what the remote says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is new.
    Deploy,
    /// It is not, and why.
    NothingNew(String),
}

/// Whether the commit that the remote's branch points to is new. `tried` is the last deployment of that very commit with
/// the word of its state: nothing is tried twice by itself, whatever came of it and whoever went back since, so that
/// asking again leaves nothing in the history. Whether what is new may go live is decided by the gates alone.
#[must_use]
pub fn judge(head: &Sha, live: Option<&Sha>, tried: Option<(DeploymentId, &str)>) -> Judgement {
    if live == Some(head) {
        return Judgement::NothingNew(format!("{} is live", head.short()));
    }
    match tried {
        Some((id, state)) => Judgement::NothingNew(format!("{} was tried: deployment {id}, {state}", head.short())),
        None => Judgement::Deploy,
    }
}

/// Seconds before the next attempt, after so many that brought nothing.
#[must_use]
pub fn pause(failures: u32) -> u64 {
    (15 << failures.min(6)).min(900)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_commit_that_was_never_tried_is_new() {
        let sha = |digit: &str| digit.repeat(40).parse::<Sha>().unwrap();
        let (a, b) = (sha("a"), sha("b"));
        let nothing = |why: &str| Judgement::NothingNew(why.to_owned());
        assert_eq!(judge(&a, None, None), Judgement::Deploy);
        assert_eq!(judge(&a, Some(&b), None), Judgement::Deploy);
        assert_eq!(judge(&a, Some(&a), Some((DeploymentId(3), "deployed"))), nothing("aaaaaaaa is live"));
        // Rolled back by itself, or by a person since.
        for state in ["rolled-back", "deployed", "failed", "aborted", "needs-operator"] {
            let why = format!("aaaaaaaa was tried: deployment 3, {state}");
            assert_eq!(judge(&a, Some(&b), Some((DeploymentId(3), state))), nothing(&why));
        }
    }

    #[test]
    fn it_waits_longer_each_time_and_never_too_long() {
        assert_eq!((0..9).map(pause).collect::<Vec<_>>(), [15, 30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn the_stored_words_are_the_shown_ones() {
        for state in PushState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
        }
    }
}
