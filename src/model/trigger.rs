//! Who or what caused an order. What comes by itself is told apart from what a person types, for good: rules bind the
//! one more tightly than the other.

use serde::{Deserialize, Serialize};

use super::names::{Delivery, KeyName, Sender};

/// The cause of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Trigger {
    /// A person who typed a command. Journals from before there were triggers know nothing else.
    #[default]
    Person,
    /// A forge said that something was pushed.
    Webhook {
        /// Which kind of forge.
        forge: Forge,
        /// The forge's id of the delivery, where it sends one.
        delivery: Option<Delivery>,
        /// Who pushed, as the forge says.
        sender: Option<Sender>,
    },
    /// The agent asked the remote, as it does now and then.
    Poll,
    /// A repository on this machine said that something was pushed to it.
    PostReceive {
        /// The user that pushed, as the bus knows it.
        user: String,
    },
    /// A program with a key, such as a CI job.
    ApiKey {
        /// The key.
        name: KeyName,
    },
}

/// A kind of forge, as far as its webhooks differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forge {
    /// GitHub.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
}

impl Forge {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Github, Self::Gitlab, Self::Gitea];

    /// Its word in addresses, settings and output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
        }
    }
}

impl Trigger {
    /// Whether nobody typed the order.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        *self != Self::Person
    }

    /// Whether it names the commit that is wanted, in place of saying that there may be a new one.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        matches!(self, Self::ApiKey { .. })
    }

    /// Its word in output and settings.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Webhook { .. } => "webhook",
            Self::Poll => "poll",
            Self::PostReceive { .. } => "post-receive",
            Self::ApiKey { .. } => "api-key",
        }
    }

    /// Who asked, as a person reads it; `caller` is the user whom the bus names.
    #[must_use]
    pub fn by(&self, caller: &str) -> String {
        match self {
            Self::Person => caller.to_owned(),
            Self::Webhook { forge, sender: Some(sender), .. } => format!("{} {sender}", forge.word()),
            Self::Webhook { forge, sender: None, .. } => forge.word().to_owned(),
            Self::Poll => "polling".to_owned(),
            Self::PostReceive { user } => format!("{user} (push)"),
            Self::ApiKey { name } => format!("key {name}"),
        }
    }

    /// All about it, as a person reads it; nothing for a person.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Person => String::new(),
            Self::Webhook { forge, delivery, .. } => {
                let delivery = delivery.as_ref().map(|id| format!(", delivery {id}")).unwrap_or_default();
                format!("a webhook of {}{delivery}", forge.word())
            }
            Self::Poll => "the remote was asked and had something new".to_owned(),
            Self::PostReceive { .. } => "a push to a repository on this machine".to_owned(),
            Self::ApiKey { .. } => "an authenticated request".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_person_is_not_automatic_and_an_old_journal_knows_only_persons() {
        assert!(!Trigger::default().is_automatic());
        assert!(Trigger::Poll.is_automatic());
        let old =
            r#"{"goal":{"revision":null},"from":null,"from_revision":null,"revision":null,"by":"o","force":false}"#;
        let order: super::super::journal::Order = serde_json::from_str(old).unwrap();
        assert_eq!(order.trigger, Trigger::Person);
    }

    #[test]
    fn a_trigger_is_written_as_other_programs_read_it() {
        let hook = Trigger::Webhook {
            forge: Forge::Github,
            delivery: Some("72d3162e-cc78".parse().unwrap()),
            sender: Some("dependabot[bot]".parse().unwrap()),
        };
        let json = r#"{"kind":"webhook","forge":"github","delivery":"72d3162e-cc78","sender":"dependabot[bot]"}"#;
        assert_eq!(serde_json::to_string(&hook).unwrap(), json);
        assert_eq!(serde_json::from_str::<Trigger>(json).unwrap(), hook);
        assert_eq!(hook.by("tsh-agent-webhook"), "github dependabot[bot]");
        assert_eq!(serde_json::to_string(&Trigger::Poll).unwrap(), r#"{"kind":"poll"}"#);
    }
}
