//! Going back: the twin becomes live and the failed database is kept aside, in one transaction.

use sqlx::PgConnection;

use super::access::{fenced, give_exactly, grants};
use super::bound::Bound;
use super::{Aside, Cluster, DatabaseError, MAINTENANCE, Result, ask, close, literal, quote, run_together};

/// Somebody may connect between the last look and the rename.
const ATTEMPTS: u32 = 3;

/// What a swap did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// The twin is live now.
    Now,
    /// It was live already: an earlier call got that far.
    Already,
}

/// Which of the two renames is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Both,
    /// The failed database is aside, and nothing is live. The agent itself never leaves it so.
    Second,
}

impl Cluster {
    /// Makes the twin of a deployment live under the name `db`, and keeps the database that was live as the
    /// deployment's quarantine. What was bound to the live one (owner, connection limit, comment, settings) is bound
    /// to the new one; `original` is its access list from before the fence. It comes out fenced.
    ///
    /// Can be called again whatever happened: there is one transaction, and the names tell whether it happened.
    ///
    /// # Errors
    /// If a session cannot be ended, a setting cannot be carried over, or neither twin nor quarantine is there.
    pub async fn swap_back(
        &self,
        db: &str,
        twin: &Aside,
        quarantine: &Aside,
        original: Option<&str>,
    ) -> Result<Swapped> {
        let mut attempt = 1;
        loop {
            let mut link = self.link(MAINTENANCE).await?;
            let Some(open) = open(&mut link, db, twin, quarantine).await? else {
                close(link).await;
                return Ok(Swapped::Already);
            };
            self.end_sessions(&mut link, db, None).await?;
            let statements = plan(&mut link, db, twin, quarantine, original, open).await?;
            match run_together(&mut link, &format!("swap database {db} back"), &statements).await {
                Ok(()) => {
                    close(link).await;
                    return Ok(Swapped::Now);
                }
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }
}

/// What is left to do; `None` if nothing is.
pub(super) async fn open(link: &mut PgConnection, db: &str, twin: &Aside, quarantine: &Aside) -> Result<Option<Open>> {
    let (twin, quarantine) = (twin.name(), quarantine.name());
    let sql = "select bool_or(datname = $1), bool_or(datname = $2), bool_or(datname = $3) from pg_database";
    let doing = format!("look which of {db}, {twin}, {quarantine} exist");
    let names = sqlx::query_as(sql).bind(db).bind(twin).bind(quarantine).fetch_one(link);
    let (what, hint) = match ask(&doing, names).await? {
        (true, true, false) => return Ok(Some(Open::Both)),
        (false, true, true) => return Ok(Some(Open::Second)),
        (true, false, true) => return Ok(None),
        (true, true, true) => (
            format!("{db}, {twin} and {quarantine} all exist, so it is unknown which one is meant to be live"),
            format!(
                "decide by hand; no write was lost: see `sudo -u postgres psql -c '\\l+'`, then rename or remove {quarantine}"
            ),
        ),
        (true, false, false) => (
            format!("there is no {twin} to go back to"),
            format!("restore from a backup into a new database; {db} is as the failed deployment left it"),
        ),
        (false, ..) => (
            format!("database {db} is missing"),
            "look for it under another name: sudo -u postgres psql -c '\\l+'; tsh-agent never drops it".to_owned(),
        ),
    };
    Err(DatabaseError::refused(what, hint))
}

/// The statements of the transaction.
pub(super) async fn plan(
    link: &mut PgConnection,
    db: &str,
    twin: &Aside,
    quarantine: &Aside,
    original: Option<&str>,
    open: Open,
) -> Result<Vec<String>> {
    let failed = if open == Open::Both { db } else { quarantine.name() };
    let mut statements = Bound::read(link, failed).await?.statements(twin.name());
    let behind = fenced(grants(link, twin.name(), original).await?);
    statements.extend(give_exactly(link, twin.name(), &behind).await?);
    let (live, twin, aside) = (quote(db), quote(twin.name()), quote(quarantine.name()));
    if open == Open::Both {
        statements.push(format!("alter database {live} rename to {aside}"));
    }
    let note = format!(
        "tsh-agent: {db} as the failed deployment {} left it; kept until retention forgets it",
        quarantine.deployment
    );
    statements.extend([
        format!("alter database {twin} rename to {live}"),
        format!("alter database {live} allow_connections true"),
        format!("alter database {aside} connection limit 0"),
        format!("comment on database {aside} is {}", literal(&note)),
    ]);
    Ok(statements)
}
