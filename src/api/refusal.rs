//! Why the core does not do what it is asked: one sentence, a hint, and a kind that names the error on
//! the bus and the exit code of the client.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use zbus::message::{Header, Message};
use zbus::names::ErrorName;

use super::plain;
use crate::model::names::{App, BadName, DeploymentId};
use crate::model::outcome::Exit;
use crate::when;

/// The kinds. Their names on the bus are a promise to other clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An unknown application, or a name that is not one.
    Usage,
    /// The configuration on the server is wrong.
    Configuration,
    /// Whoever asks may not.
    Denied,
    /// Another deployment runs.
    Busy,
    /// No such deployment or release.
    NotFound,
    /// It exists, but not in a state in which this can be done.
    NotPossible,
    /// An earlier deployment waits for a person.
    NeedsOperator,
    /// A fault of the agent, or of what it stands on.
    Internal,
}

impl Kind {
    /// All kinds, for tables and tests.
    pub const ALL: [Self; 8] = [
        Self::Usage,
        Self::Configuration,
        Self::Denied,
        Self::Busy,
        Self::NotFound,
        Self::NotPossible,
        Self::NeedsOperator,
        Self::Internal,
    ];

    /// Its name on the bus.
    #[must_use]
    pub fn error_name(self) -> &'static str {
        match self {
            Self::Usage => "sale.tsh.Agent1.Error.Usage",
            Self::Configuration => "sale.tsh.Agent1.Error.Configuration",
            Self::Denied => "sale.tsh.Agent1.Error.Denied",
            Self::Busy => "sale.tsh.Agent1.Error.Busy",
            Self::NotFound => "sale.tsh.Agent1.Error.NotFound",
            Self::NotPossible => "sale.tsh.Agent1.Error.NotPossible",
            Self::NeedsOperator => "sale.tsh.Agent1.Error.NeedsOperator",
            Self::Internal => "sale.tsh.Agent1.Error.Internal",
        }
    }

    /// What the client exits with.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Usage | Self::Configuration | Self::NotFound => Exit::Usage,
            Self::Denied => Exit::Refused,
            Self::Busy => Exit::Busy,
            Self::NotPossible => Exit::Untouched,
            Self::NeedsOperator | Self::Internal => Exit::NeedsOperator,
        }
    }
}

/// A refusal. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// Its kind.
    pub kind: Kind,
    /// One sentence: what is not done, and why.
    pub what: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}

/// What crosses the bus as the message of the error; the kind crosses as its name.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    what: std::borrow::Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<std::borrow::Cow<'a, str>>,
}

impl Refusal {
    /// A refusal of this kind.
    #[must_use]
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hint: None }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// There is no such application; `known` are those that are configured.
    #[must_use]
    pub fn unknown_app(app: &App, known: &[App]) -> Self {
        let refusal = Self::new(Kind::Usage, format!("no application {app} is configured on this server"));
        let names: Vec<_> = known.iter().map(App::as_str).collect();
        // A typing error is the commonest reason.
        match names.iter().max_by(|a, b| similarity(a, app).total_cmp(&similarity(b, app))) {
            Some(near) if similarity(near, app) > 0.75 => refusal.hint(format!("did you mean {near}?")),
            Some(_) => refusal.hint(format!("configured are: {}", names.join(", "))),
            None => refusal.hint("`tsh-agent init` configures one"),
        }
    }

    /// Another deployment runs.
    #[must_use]
    pub fn busy(app: &App, id: DeploymentId, by: &str, since: i64) -> Self {
        let since = when::minute(since, &TimeZone::system());
        Self::new(Kind::Busy, format!("deployment {id} of {app} is running (asked for by {by}, since {since})"))
            .hint(format!("`tsh-agent watch {id}` follows it, `tsh-agent abort {id}` stops it"))
    }

    /// There is no such deployment.
    #[must_use]
    pub fn no_deployment(id: DeploymentId) -> Self {
        Self::new(Kind::NotFound, format!("there is no deployment {id}")).hint("`tsh-agent history` lists them")
    }

    /// Something failed that should not.
    #[must_use]
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Kind::Internal, what).hint("`journalctl -u tsh-agent` has more")
    }

    /// The refusal that came over the bus under this name, if it is one of ours.
    #[must_use]
    pub fn from_wire(name: &str, message: &str) -> Option<Self> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.error_name() == name)?;
        // Another version may say more, or say it as plain text; its sentence is still worth showing.
        Some(match serde_json::from_str::<Wire<'_>>(message) {
            Ok(wire) => Self { kind, what: plain(&wire.what), hint: wire.hint.as_deref().map(plain) },
            Err(_) => Self::new(kind, plain(message)),
        })
    }
}

fn similarity(name: &str, app: &App) -> f64 {
    strsim::jaro_winkler(name, app.as_str())
}

impl From<BadName> for Refusal {
    fn from(bad: BadName) -> Self {
        Self::new(Kind::Usage, bad.to_string())
    }
}

impl zbus::DBusError for Refusal {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        let wire = Wire { what: self.what.as_str().into(), hint: self.hint.as_deref().map(Into::into) };
        let text = serde_json::to_string(&wire).unwrap_or_else(|_| self.what.clone());
        Message::error(call, self.name()).build(&text)
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_static_str_unchecked(self.kind.error_name())
    }

    fn description(&self) -> Option<&str> {
        Some(&self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_valid_error_name() {
        for kind in Kind::ALL {
            assert!(ErrorName::try_from(kind.error_name()).is_ok(), "{kind:?}");
        }
    }

    #[test]
    fn a_refusal_survives_the_wire_and_a_foreign_one_keeps_its_sentence() {
        let said = r#"{"what":"no","hint":"do","more":1}"#;
        let refusal = Refusal::from_wire("sale.tsh.Agent1.Error.Busy", said).unwrap();
        assert_eq!(refusal, Refusal::new(Kind::Busy, "no").hint("do"));
        assert_eq!(Refusal::from_wire("sale.tsh.Agent1.Error.Busy", "plain").unwrap().what, "plain");
        assert_eq!(Refusal::from_wire("org.freedesktop.DBus.Error.Failed", said), None);
    }

    #[test]
    fn a_typing_error_is_answered_with_the_right_name() {
        let known: Vec<App> = ["tsh-erp", "shop"].map(|name| name.parse().unwrap()).into();
        let hint = |name: &str| Refusal::unknown_app(&name.parse().unwrap(), &known).hint.unwrap();
        assert_eq!(hint("tsh-epr"), "did you mean tsh-erp?");
        assert_eq!(hint("blog"), "configured are: tsh-erp, shop");
    }
}
