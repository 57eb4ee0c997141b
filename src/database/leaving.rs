//! What a database has that another one, which shows an earlier moment, has not.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::time::Instant;

use super::{Cluster, MAINTENANCE, Result, ask, ask_for, close, quote, run};
use crate::model::leaving::Leaving;

/// The server may be this much faster than our clock.
const SLACK: Duration = Duration::from_millis(50);

/// Rows of the table, and those that the moment does not see. A row says only the lower half of the transaction that
/// wrote it; the upper half is the server's own, or the one before. A row that is older than four thousand million
/// transactions could be taken for a new one.
const COUNT: &str = "select count(*), count(*) filter (where not pg_visible_in_snapshot( \
        greatest(now.base + t.xmin::text::bigint - case when t.xmin::text::bigint > now.low then 4294967296 else 0 end, \
                 3)::text::xid8, $1::text::pg_snapshot)) \
    from only TABLE t, \
        (select x / 4294967296 * 4294967296 as base, x % 4294967296 as low \
         from (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as x) as next) as now";

#[derive(sqlx::FromRow)]
struct Found {
    schema: String,
    name: String,
    estimate: i64,
}

impl Cluster {
    /// The server's own number, which tells it from every other one: a snapshot means nothing elsewhere.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn system(&self) -> Result<String> {
        let mut link = self.link(MAINTENANCE).await?;
        let sql = "select system_identifier::text from pg_control_system()";
        let (system,): (String,) = ask("read the server's number", sqlx::query_as(sql).fetch_one(&mut link)).await?;
        close(link).await;
        Ok(system)
    }

    /// This moment, as a snapshot tells it.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn moment(&self) -> Result<String> {
        let mut link = self.link(MAINTENANCE).await?;
        let sql = "select pg_current_snapshot()::text";
        let (moment,): (String,) = ask("look at the moment", sqlx::query_as(sql).fetch_one(&mut link)).await?;
        close(link).await;
        Ok(moment)
    }

    /// Counts the rows of every table of `db`, and those written since `snapshot`, smaller tables first. What is not
    /// counted when `limit` is over is estimated.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn written_since(&self, db: &str, snapshot: Option<&str>, limit: Duration) -> Result<Vec<Leaving>> {
        let end = Instant::now() + limit;
        let doing = format!("count the rows of database {db}");
        let mut link = self.link_for(db, limit).await?;
        run(&mut link, &doing, "set row_security = off").await?;
        let sql = "select n.nspname::text as schema, c.relname::text as name, greatest(c.reltuples, 0)::int8 as estimate \
                   from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                   where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' \
                     and n.nspname <> 'information_schema' and not exists \
                     (select from pg_depend p where p.objid = c.oid and p.classid = 'pg_class'::regclass and p.deptype = 'e') \
                   order by pg_table_size(c.oid), 1, 2";
        let found: Vec<Found> = ask(&doing, sqlx::query_as(sql).fetch_all(&mut link)).await?;
        let mut out = Vec::new();
        for Found { schema, name, estimate } in found {
            let left = end.saturating_duration_since(Instant::now());
            let rows = estimate.unsigned_abs();
            let mut table = Leaving { schema, name, rows, since: None, other: None, counted: false };
            if !left.is_zero() {
                // The server gives up in time, and says so.
                run(&mut link, &doing, &format!("set statement_timeout = {}", left.as_millis().max(1))).await?;
                let sql = COUNT.replace("TABLE", &format!("{}.{}", quote(&table.schema), quote(&table.name)));
                let sql = if snapshot.is_some() { sql } else { sql.replace("$1::text", "coalesce($1::text, '1:1:')") };
                let query = sqlx::query_as(AssertSqlSafe(sql)).bind(snapshot).fetch_one(&mut link);
                match ask_for(left, &doing, query).await {
                    Ok((rows, since)) => {
                        let (rows, since): (i64, i64) = (rows, since);
                        table.rows = rows.unsigned_abs();
                        table.since = snapshot.map(|_| since.unsigned_abs());
                        table.counted = true;
                    }
                    Err(_) if end <= Instant::now() + SLACK => {}
                    Err(error) => return Err(error),
                }
            }
            out.push(table);
        }
        out.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        close(link).await;
        Ok(out)
    }

    /// Gathers the planner's statistics, without which a fresh database is slow.
    ///
    /// # Errors
    /// If the server refuses.
    pub async fn analyze(&self, db: &str, limit: Duration) -> Result<()> {
        let mut link = self.link_for(db, limit).await?;
        super::run_for(limit, &mut link, &format!("analyze database {db}"), "analyze").await?;
        close(link).await;
        Ok(())
    }
}
