//! One database becomes live in place of another, which is kept aside, in one transaction: going back to a twin, and
//! putting a restored backup in place.

use sqlx::PgConnection;

use super::access::{fenced, give_exactly, grants};
use super::aside::FEW;
use super::bound::Bound;
use super::{Aside, Cluster, DatabaseError, MAINTENANCE, Result, ask, close, literal, quote, run_together};

/// Somebody may connect between the last look and the rename.
const ATTEMPTS: u32 = 3;

/// What a swap did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swapped {
    /// The incoming database is live now.
    Now,
    /// It was live already: an earlier call got that far.
    Already,
}

/// Which of the two renames is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    Both,
    /// The one that was live is aside, and nothing is live. The agent itself never leaves it so.
    Second,
}

/// Which database becomes live, and what becomes of the one that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// The live one's name.
    pub db: String,
    /// The one that becomes live: a twin, a restored one, or a quarantine whose restore is taken back.
    pub incoming: Aside,
    /// What the one that was live is called then.
    pub outgoing: Aside,
    /// What the outgoing one says about itself.
    pub note: String,
}

impl Cluster {
    /// Makes one database live in place of another, which is kept aside. What was bound to the live one (owner,
    /// connection limit, comment, settings) is bound to the new one; `original` is its access list from before the
    /// fence. It comes out fenced, and so does the other. Numbers that sequences have given out are not given again.
    ///
    /// Can be called again whatever happened: there is one transaction, and the names tell whether it happened.
    ///
    /// # Errors
    /// If a session cannot be ended, a setting cannot be carried over, or the names do not tell what is what.
    pub async fn swap(&self, swap: &Swap, original: Option<&str>) -> Result<Swapped> {
        let mut attempt = 1;
        loop {
            let mut link = self.link(MAINTENANCE).await?;
            let Some(open) = open(&mut link, swap).await? else {
                close(link).await;
                return Ok(Swapped::Already);
            };
            // The application was let in again: whoever is sent away comes back, as long as he may.
            shut(&mut link, swap.was_live(open), original).await?;
            self.end_sessions(&mut link, &swap.db, None).await?;
            self.push_sequences(&mut link, swap, original, open).await?;
            self.end_sessions(&mut link, swap.incoming.name(), None).await?;
            let statements = plan(&mut link, swap, original, open).await?;
            match run_together(&mut link, &format!("swap database {}", swap.db), &statements).await {
                Ok(()) => {
                    close(link).await;
                    return Ok(Swapped::Now);
                }
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }

    /// Before the swap, so that there is nothing to make good after a crash. The incoming one is not live yet, and
    /// behind a fence of its own before anybody may connect to it.
    async fn push_sequences(
        &self,
        link: &mut PgConnection,
        swap: &Swap,
        original: Option<&str>,
        open: Open,
    ) -> Result<()> {
        let (incoming, was_live) = (swap.incoming.name(), swap.was_live(open));
        shut(link, incoming, original).await?;
        let sql = [format!("alter database {} connection limit {FEW} allow_connections true", quote(incoming))];
        run_together(link, &format!("open database {incoming} for the agent"), &sql).await?;
        self.carry_sequences(was_live, incoming).await
    }
}

/// The fence around one of them, before the transaction that both come out of behind one.
async fn shut(link: &mut PgConnection, db: &str, original: Option<&str>) -> Result<()> {
    let behind = fenced(grants(link, db, original).await?);
    let statements = give_exactly(link, db, &behind).await?;
    run_together(link, &format!("fence database {db}"), &statements).await
}

impl Swap {
    /// The name that the database has now that was live.
    fn was_live(&self, open: Open) -> &str {
        if open == Open::Both { &self.db } else { self.outgoing.name() }
    }
}

/// What is left to do; `None` if nothing is.
pub(super) async fn open(link: &mut PgConnection, swap: &Swap) -> Result<Option<Open>> {
    let (db, incoming, outgoing) = (&swap.db, swap.incoming.name(), swap.outgoing.name());
    let sql = "select bool_or(datname = $1), bool_or(datname = $2), bool_or(datname = $3) from pg_database";
    let doing = format!("look which of {db}, {incoming}, {outgoing} exist");
    let names = sqlx::query_as(sql).bind(db).bind(incoming).bind(outgoing).fetch_one(link);
    let (what, hint) = match ask(&doing, names).await? {
        (true, true, false) => return Ok(Some(Open::Both)),
        (false, true, true) => return Ok(Some(Open::Second)),
        (true, false, true) => return Ok(None),
        (true, true, true) => (
            format!("{db}, {incoming} and {outgoing} all exist, so it is unknown which one is meant to be live"),
            format!(
                "decide by hand; no write was lost: see `sudo -u postgres psql -c '\\l+'`, then rename or remove {outgoing}"
            ),
        ),
        (true, false, false) => (
            format!("there is no {incoming} to go back to"),
            format!("`tsh-agent backup restore` puts a backup in the place of {db}, which is as it was left"),
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
    swap: &Swap,
    original: Option<&str>,
    open: Open,
) -> Result<Vec<String>> {
    let (incoming, was_live) = (swap.incoming.name(), swap.was_live(open));
    let mut statements = Bound::read(link, was_live).await?.statements(incoming);
    for name in [incoming, was_live] {
        let behind = fenced(grants(link, name, original).await?);
        statements.extend(give_exactly(link, name, &behind).await?);
    }
    let (live, incoming, aside) = (quote(&swap.db), quote(incoming), quote(swap.outgoing.name()));
    if open == Open::Both {
        statements.push(format!("alter database {live} rename to {aside}"));
    }
    statements.extend([
        format!("alter database {incoming} rename to {live}"),
        format!("alter database {live} allow_connections true"),
        format!("alter database {aside} connection limit {FEW}"),
        format!("comment on database {aside} is {}", literal(&swap.note)),
    ]);
    Ok(statements)
}
