//! Who stands in the way of a migration that runs while everybody works: told by the locks, which everybody may see,
//! and not by what sessions say of themselves, which is hidden from a role that is no member of theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::{Cluster, MIGRATOR, Result, ask, close};

/// A transaction that is open for longer than this is a long one.
const LONG: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct Session {
    pid: i32,
    role: Option<String>,
    application: Option<String>,
    state: Option<String>,
    seconds: Option<i64>,
    query: Option<String>,
}

impl Session {
    /// As a person would have to find it.
    fn describe(&self) -> String {
        let mut text = format!("pid {} of {}", self.pid, self.role.as_deref().unwrap_or("nobody"));
        if let Some(application) = self.application.as_deref().filter(|name| !name.is_empty()) {
            text += &format!(" ({application})");
        }
        if let Some(state) = &self.state {
            text += &format!(", {state}");
        }
        if let Some(seconds) = self.seconds {
            text += &format!(", in a transaction for {seconds} s");
        }
        if let Some(query) = self.query.as_deref().filter(|query| !query.is_empty()) {
            text += &format!(": {query}");
        }
        text
    }
}

/// The columns of a session. What is hidden is null, but for the text of the statement, which says so.
const SESSION: &str = "a.pid, a.usename::text as role, a.application_name as application, a.state, \
    extract(epoch from clock_timestamp() - a.xact_start)::int8 as seconds, \
    nullif(left(regexp_replace(a.query, '\\s+', ' ', 'g'), 80), '<insufficient privilege>') as query";

impl Cluster {
    /// Waits until no transaction of somebody else has held a lock on a table of `db` for two seconds: a `pg_dump`, a
    /// report, a session that was left open. A migration would wait behind it, and everybody else behind the migration.
    /// Answers with those that are still there after `patience`.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn wait_for_strangers(&self, db: &str, patience: Duration) -> Result<Vec<String>> {
        let deadline = Instant::now() + patience;
        let mut link = self.link(db).await?;
        let mut first_seen: BTreeMap<(i32, String), Instant> = BTreeMap::new();
        let began = Instant::now();
        loop {
            let open = transactions(&mut link).await?;
            let now = Instant::now();
            first_seen.retain(|transaction, _| open.contains(transaction));
            for transaction in open {
                first_seen.entry(transaction).or_insert(now);
            }
            let long: Vec<i32> =
                first_seen.iter().filter(|(_, seen)| now - **seen >= LONG).map(|((pid, _), _)| *pid).collect();
            // Whoever was there at the first look has shown by now whether it stays.
            if long.is_empty() && (first_seen.is_empty() || now - began >= LONG * 3 / 2) {
                close(link).await;
                return Ok(Vec::new());
            }
            if now >= deadline {
                let found = describe(&mut link, &long).await?;
                close(link).await;
                return Ok(found);
            }
            tokio::time::sleep(LONG / 10).await;
        }
    }

    /// Begins to look at whom the migration of `db` waits for, on a connection that is there before it has to wait.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn queue(&self, db: &str) -> Result<Queue> {
        Ok(Queue { link: self.link(db).await? })
    }
}

/// Somebody who looks at whom the migration waits for.
pub struct Queue {
    link: PgConnection,
}

impl Queue {
    /// Who the sessions of the migration are waiting for right now.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn blockers(&mut self) -> Result<Vec<String>> {
        // Not by what the sessions say: where the migrator has taken the owner's role, even its own say nothing to it.
        let sql = "select distinct unnest(pg_blocking_pids(pid)) from pg_stat_activity \
                   where datname = current_database() and usename = $1";
        let query = sqlx::query_as(sql).bind(MIGRATOR).fetch_all(&mut self.link);
        let pids: Vec<(i32,)> = ask("see who blocks the migration", query).await?;
        if pids.is_empty() {
            return Ok(Vec::new());
        }
        describe(&mut self.link, &pids.into_iter().map(|(pid,)| pid).collect::<Vec<_>>()).await
    }
}

/// Transactions of others that hold a lock on a table of the database.
async fn transactions(link: &mut PgConnection) -> Result<Vec<(i32, String)>> {
    let sql = "select distinct l.pid, l.virtualtransaction from pg_locks l \
               join pg_stat_activity a on a.pid = l.pid and a.usesysid is not null \
               where l.locktype = 'relation' and l.granted and l.relation >= 16384 \
                 and l.database = (select oid from pg_database where datname = current_database()) \
                 and a.usename <> $1 and l.pid <> pg_backend_pid()";
    ask("see who holds locks", sqlx::query_as(sql).bind(MIGRATOR).fetch_all(link)).await
}

async fn describe(link: &mut PgConnection, pids: &[i32]) -> Result<Vec<String>> {
    let sql = format!("select {SESSION} from pg_stat_activity a where a.pid = any($1) order by a.pid");
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(pids).fetch_all(link);
    let found: Vec<Session> = ask("see who is in the way", query).await?;
    Ok(found.iter().map(Session::describe).collect())
}
