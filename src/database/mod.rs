//! What the core does to PostgreSQL: look, fence, copy, swap. It comes over the unix socket as role `tsh-agent`,
//! which is no superuser: it is a member of the role that owns the application's database.
//!
//! Every function opens one short connection, bounded in time, and can be called again after a crash at any
//! instruction: it looks at what is there before it does anything.

mod access;
mod aside;
mod belongings;
mod bound;
mod check;
mod content;
mod error;
mod fingerprint;
mod leaving;
mod names;
mod revisions;
mod roles;
mod sequences;
mod sessions;
mod swap;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod twin;
mod waiting;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

pub use aside::Leftover;
pub use belongings::create_database;
pub use content::Snapshot;
pub use error::DatabaseError;
pub use names::{Aside, Kind};
pub use roles::roles_sql;
pub use swap::{Swap, Swapped};
pub use waiting::Queue;
pub use watch::Watch;

/// The role and the unix user of the core.
pub const AGENT: &str = "tsh-agent";
/// The role and the unix user of migrations.
pub const MIGRATOR: &str = "tsh-agent-migrate";
/// The database for everything that is not about one database's inside.
const MAINTENANCE: &str = "postgres";
/// Where the server of this machine has its socket.
const SOCKET: &str = "/run/postgresql";
/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for an ordinary statement. A rename alone waits up to 5 s for sessions that are about to end.
const STATEMENT: Duration = Duration::from_secs(20);

/// Time for the server to answer at all, beyond the time it gives a statement: it may be stopped or thrashing.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a session may take to go.
const PATIENCE: Duration = Duration::from_secs(10);

/// One PostgreSQL server, as seen through its socket by one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    socket_dir: PathBuf,
    port: u16,
    user: String,
    /// How long a session may take to go.
    patience: Duration,
}

/// The answer of the server, or what is wrong.
pub type Result<T> = std::result::Result<T, DatabaseError>;

impl Cluster {
    /// The server of this machine, as role `tsh-agent`.
    #[must_use]
    pub fn local() -> Self {
        Self::local_as(AGENT)
    }

    /// The server of this machine, as another role.
    #[must_use]
    pub fn local_as(role: &str) -> Self {
        Self::at(SOCKET, 5432, role)
    }

    /// The server whose socket for `port` is in `socket_dir`, as role `user`.
    #[must_use]
    pub fn at(socket_dir: impl Into<PathBuf>, port: u16, user: &str) -> Self {
        Self { socket_dir: socket_dir.into(), port, user: user.to_owned(), patience: PATIENCE }
    }

    /// The same as the role that fills a restored database: it may do what the application's owner may, and no more.
    #[must_use]
    pub fn for_restore() -> Self {
        Self::at(SOCKET, 5432, MIGRATOR)
    }

    /// The server's version, as in `150013`: major version times 10,000 and the rest.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn version(&self) -> Result<u32> {
        let mut link = self.link(MAINTENANCE).await?;
        let sql = "select current_setting('server_version_num')::int4";
        let (version,): (i32,) = ask("read the server's version", sqlx::query_as(sql).fetch_one(&mut link)).await?;
        close(link).await;
        Ok(version.unsigned_abs())
    }

    /// How PostgreSQL's own programs reach the same server as the same role.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        vec![
            format!("--host={}", self.socket_dir.display()),
            format!("--port={}", self.port),
            format!("--username={}", self.user),
        ]
    }

    /// A connection with the bound for ordinary statements.
    async fn link(&self, database: &str) -> Result<PgConnection> {
        self.link_for(database, STATEMENT).await
    }

    /// A connection on which the server ends each statement after `bound`. Should this process die, the server
    /// notices within a second, so that nothing of ours goes on behind the back of the one that comes after.
    async fn link_for(&self, database: &str, bound: Duration) -> Result<PgConnection> {
        let socket = format!("{}:{}", self.socket_dir.display(), self.port);
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .port(self.port)
            .username(&self.user)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .application_name(AGENT)
            .options([
                ("statement_timeout", format!("{}ms", bound.as_millis())),
                ("lock_timeout", "5s".to_owned()),
                ("idle_in_transaction_session_timeout", "60s".to_owned()),
                ("client_connection_check_interval", "1s".to_owned()),
            ])
            .disable_statement_logging();
        match tokio::time::timeout(CONNECT, PgConnection::connect_with(&options)).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(DatabaseError::connecting(&socket, &self.user, database, &error)),
            Err(_) => Err(DatabaseError::Down { socket, why: format!("no answer in {} s", CONNECT.as_secs()) }),
        }
    }
}

/// Waits for an answer; `doing` completes "PostgreSQL failed to …".
async fn ask<T>(doing: &str, answer: impl Future<Output = std::result::Result<T, sqlx::Error>>) -> Result<T> {
    ask_for(STATEMENT, doing, answer).await
}

/// The same on a connection with another bound. The server keeps the bound; this is for a server that is stopped.
async fn ask_for<T>(
    bound: Duration,
    doing: &str,
    answer: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> Result<T> {
    match tokio::time::timeout(bound + SILENCE, answer).await {
        Ok(answer) => answer.map_err(|error| DatabaseError::while_doing(doing, &error)),
        Err(_) => Err(DatabaseError::Failed { doing: doing.to_owned(), why: "the server does not answer".to_owned() }),
    }
}

/// Runs one statement that was put together here, with every name quoted.
async fn run(link: &mut PgConnection, doing: &str, sql: &str) -> Result<()> {
    run_for(STATEMENT, link, doing, sql).await
}

/// The same on a connection with another bound.
async fn run_for(bound: Duration, link: &mut PgConnection, doing: &str, sql: &str) -> Result<()> {
    ask_for(bound, doing, sqlx::raw_sql(AssertSqlSafe(sql)).execute(link)).await.map(|_| ())
}

/// Runs statements in one transaction. On an error the connection is given up with it, which rolls it back.
async fn run_together(link: &mut PgConnection, doing: &str, statements: &[String]) -> Result<()> {
    run(link, doing, "begin").await?;
    for statement in statements {
        run(link, doing, statement).await?;
    }
    run(link, doing, "commit").await
}

/// Says goodbye. That it is not heard does not matter: all that counts was answered before.
async fn close(link: PgConnection) {
    let _ = link.close().await;
}

/// A name as an identifier in SQL: the only way names get into statements.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a constant in SQL.
fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
