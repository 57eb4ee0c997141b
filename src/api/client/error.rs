//! Why a call brought nothing.

use zbus::fdo;

use crate::api::{Refusal, plain};

/// Why a call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The core says no.
    #[error(transparent)]
    Refused(Refusal),
    /// There is no bus to ask on.
    #[error("the system bus cannot be reached: {0}")]
    NoBus(String),
    /// Nobody has the name.
    #[error("the agent is not running")]
    NotRunning,
    /// The bus does not let this user ask.
    #[error("the system bus does not let you talk to the agent")]
    Denied,
    /// The core went away in the middle, so what was asked may have been done.
    #[error("the agent went away before it answered")]
    Lost,
    /// The answer is not one that this version knows.
    #[error("the agent's answer is not understood: {0}")]
    Strange(String),
}

impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, text, _) => {
                let text = text.unwrap_or_default();
                match Refusal::from_wire(&name, &text) {
                    Some(refusal) => Self::Refused(refusal),
                    // The bus asked systemd to start the core, and that failed.
                    None if name.starts_with("org.freedesktop.systemd1.") => Self::NotRunning,
                    None => Self::Strange(format!("{name}: {}", plain(&text))),
                }
            }
            zbus::Error::FDO(error) => (*error).into(),
            zbus::Error::InputOutput(_) => Self::Lost,
            other => Self::Strange(other.to_string()),
        }
    }
}

impl From<fdo::Error> for Error {
    fn from(error: fdo::Error) -> Self {
        use fdo::Error as E;
        match error {
            E::ZBus(error) => error.into(),
            E::ServiceUnknown(_) | E::NameHasNoOwner(_) | E::SpawnChildExited(_) | E::SpawnFailed(_) => {
                Self::NotRunning
            }
            E::AccessDenied(_) => Self::Denied,
            E::NoReply(_) | E::Timeout(_) | E::TimedOut(_) | E::Disconnected(_) => Self::Lost,
            other => Self::Strange(plain(&other.to_string())),
        }
    }
}
