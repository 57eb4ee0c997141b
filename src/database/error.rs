//! What can be wrong with PostgreSQL, said so that a person knows where to look and what to do.

use std::io::ErrorKind;

use sqlx::postgres::PgDatabaseError;

use super::AGENT;
use crate::model::journal::Cause;

/// What went wrong in the database server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseError {
    /// Nobody answers at the socket, or the server is starting or stopping.
    #[error("PostgreSQL does not answer at {socket}: {why}")]
    Down {
        /// The folder of the socket and the port.
        socket: String,
        /// What was seen.
        why: String,
    },
    /// There is no such database.
    #[error("database {0} does not exist")]
    NoDatabase(String),
    /// There is no such role.
    #[error("PostgreSQL has no role {0}")]
    NoRole(String),
    /// The server answers, but does not let the role in.
    #[error("PostgreSQL does not let role {role} into database {database}: {why}")]
    NotLetIn {
        /// The role.
        role: String,
        /// The database.
        database: String,
        /// PostgreSQL's words.
        why: String,
    },
    /// The role may not do this.
    #[error("PostgreSQL does not allow to {doing}: {why}")]
    Denied {
        /// What was tried, as in "to …".
        doing: String,
        /// PostgreSQL's words.
        why: String,
    },
    /// Somebody is connected and cannot be sent away.
    #[error("database {database} is in use by {session}, which could not be ended")]
    Busy {
        /// The database.
        database: String,
        /// Role, address, application and pid.
        session: String,
        /// The process, if it is known.
        pid: Option<i32>,
    },
    /// The agent does not do this, because it could not be undone or would lose something.
    #[error("{what}")]
    Refused {
        /// What is in the way.
        what: String,
        /// What to do about it.
        hint: String,
    },
    /// Anything else.
    #[error("PostgreSQL failed to {doing}: {why}")]
    Failed {
        /// What was tried, as in "to …".
        doing: String,
        /// PostgreSQL's words.
        why: String,
    },
}

impl DatabaseError {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Down { .. } => "systemctl status postgresql; journalctl -u 'postgresql*' -n 50".into(),
            Self::NoDatabase(name) => {
                format!("compare `psql -l` with database.name in the application's settings ({name})")
            }
            Self::NoRole(_) | Self::NotLetIn { .. } | Self::Denied { .. } => {
                "`sudo tsh-agent init APP` makes the roles and their rights again".into()
            }
            Self::Busy { pid: Some(pid), .. } => {
                format!("end it as a superuser: sudo -u postgres psql -c 'select pg_terminate_backend({pid})'")
            }
            Self::Busy { database, .. } => {
                format!(
                    "find it with: sudo -u postgres psql -c \"select * from pg_stat_activity where datname = '{database}'\""
                )
            }
            Self::Refused { hint, .. } => hint.clone(),
            Self::Failed { .. } => "the server's own log has more: journalctl -u 'postgresql*' -n 50".into(),
        }
    }

    pub(super) fn refused(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), hint: hint.into() }
    }

    /// What `error` means that came while trying to `doing`.
    pub(super) fn while_doing(doing: &str, error: &sqlx::Error) -> Self {
        let Some((code, why)) = server_said(error) else {
            return Self::Failed { doing: doing.into(), why: error.to_string() };
        };
        match code.as_str() {
            "42501" => Self::Denied { doing: doing.into(), why },
            "57P01" | "57P02" | "57P03" => Self::Down { socket: "its socket".into(), why },
            _ => Self::Failed { doing: doing.into(), why },
        }
    }

    /// What `error` means that came while connecting.
    pub(super) fn connecting(socket: &str, role: &str, database: &str, error: &sqlx::Error) -> Self {
        let Some((code, why)) = server_said(error) else {
            return Self::Down { socket: socket.into(), why: nobody_there(error) };
        };
        match code.as_str() {
            "3D000" => Self::NoDatabase(database.into()),
            // With peer authentication a missing role is only seen after the user name has matched.
            "28000" | "28P01" if why.contains("does not exist") => Self::NoRole(role.into()),
            "57P03" | "53300" => Self::Down { socket: socket.into(), why },
            _ => Self::NotLetIn { role: role.into(), database: database.into(), why },
        }
    }
}

/// Why nobody answered, in fewer words than the library's.
fn nobody_there(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::NotFound => "there is no socket".into(),
        sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => "nobody listens there".into(),
        other => other.to_string(),
    }
}

/// SQLSTATE and message, if the server itself said something.
pub(super) fn server_said(error: &sqlx::Error) -> Option<(String, String)> {
    let said = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    Some((said.code().to_owned(), format!("{}{detail}", said.message())))
}

impl From<DatabaseError> for Cause {
    fn from(error: DatabaseError) -> Self {
        Self::new(error.to_string()).hint(error.hint())
    }
}

/// The role the agent is, for sentences.
pub(super) fn agent() -> String {
    format!("role {AGENT}")
}
