//! Sending sessions away, and waiting until they are gone.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::{Cluster, DatabaseError, MAINTENANCE, MIGRATOR, Result, ask, close};

#[derive(sqlx::FromRow)]
struct Session {
    pid: i32,
    role: String,
    application: String,
    address: String,
}

impl Session {
    fn describe(&self) -> String {
        let Self { role, address, application, .. } = self;
        if application.is_empty() {
            format!("{role} at {address}")
        } else {
            format!("{role} at {address} ({application})")
        }
    }
}

impl Cluster {
    /// Ends what a dead migration left running in `db`, and waits until it is gone. Killing a client does not
    /// stop its backend: without this, a decision about the database would be about a moving target.
    ///
    /// # Errors
    /// If a session does not go within 10 s, or the server cannot be asked.
    pub async fn settle_migration(&self, db: &str) -> Result<Vec<String>> {
        let mut link = self.link(MAINTENANCE).await?;
        let ended = self.end_sessions(&mut link, db, Some(MIGRATOR)).await?;
        close(link).await;
        Ok(ended)
    }

    /// Ends all sessions in `db`, or those of one role, and waits until none is left. Answers with those it found.
    pub(super) async fn end_sessions(
        &self,
        link: &mut PgConnection,
        db: &str,
        role: Option<&str>,
    ) -> Result<Vec<String>> {
        let patience = Instant::now() + self.patience;
        let mut ended: Vec<(i32, String)> = Vec::new();
        loop {
            let left = sessions(link, db, role).await?;
            let Some(first) = left.first() else {
                return Ok(ended.into_iter().map(|(_, session)| session).collect());
            };
            if Instant::now() >= patience {
                return Err(DatabaseError::Busy {
                    database: db.to_owned(),
                    session: format!("{}, pid {}", first.describe(), first.pid),
                    pid: Some(first.pid),
                });
            }
            for session in &left {
                if !ended.iter().any(|(pid, _)| *pid == session.pid) {
                    ended.push((session.pid, session.describe()));
                }
                // A superuser's session cannot be ended by this role, but it may go by itself before patience ends.
                let _ = sqlx::query("select pg_terminate_backend($1)").bind(session.pid).execute(&mut *link).await;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Everybody in `db` but us and autovacuum, which gives way by itself to whatever needs the database alone. It is
/// recognized by having no role: the kind of a process is hidden from a role that is no member of its owner.
async fn sessions(link: &mut PgConnection, db: &str, role: Option<&str>) -> Result<Vec<Session>> {
    let sql = "select pid, usename::text as role, coalesce(application_name, '') as application, \
                      coalesce(host(client_addr), 'the local socket') as address \
               from pg_stat_activity \
               where datname = $1 and pid <> pg_backend_pid() and usesysid is not null \
                 and ($2::text is null or usename = $2) \
               order by pid";
    ask("list the sessions", sqlx::query_as(sql).bind(db).bind(role).fetch_all(link)).await
}
