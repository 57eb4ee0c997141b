//! All that is in a database at one moment: what a backup's manifest says, and what a restored one is compared with.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};

use super::{Cluster, DatabaseError, Result, ask, ask_for, close, quote, run};
use crate::model::backup::{Locale, Sequence, Table};

/// Reading all rows of a large table takes its time; the step that asks has a deadline of its own.
const READING: Duration = Duration::from_secs(6 * 3600);

/// What makes rows the same text on every server.
const SETTINGS: &str = "set idle_in_transaction_session_timeout = 0; set local row_security = off; \
    set local search_path = pg_catalog; set local datestyle = iso; set local intervalstyle = postgres; \
    set local timezone = 'UTC'; set local extra_float_digits = 1; set local bytea_output = hex; \
    set local lc_monetary = 'C'; set local xmlbinary = base64";

/// One moment of a database, which stays readable as long as this lives.
pub struct Snapshot {
    link: PgConnection,
    db: String,
    /// Its name, by which `pg_dump` reads the same moment.
    pub id: String,
    /// What it sees, as text.
    pub text: String,
    /// Where the log of writes was.
    pub lsn: String,
    /// The size of the database on disk in bytes.
    pub bytes: u64,
}

#[derive(sqlx::FromRow)]
struct Found {
    schema: String,
    name: String,
    bytes: i64,
}

impl Cluster {
    /// Holds on to this moment of `db`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn snapshot(&self, db: &str) -> Result<Snapshot> {
        let mut link = self.link_for(db, READING).await?;
        let doing = format!("read database {db}");
        run(&mut link, &doing, "begin isolation level repeatable read read only").await?;
        run(&mut link, &doing, SETTINGS).await?;
        let sql = "select pg_export_snapshot(), pg_current_snapshot()::text, pg_current_wal_lsn()::text, \
                          pg_database_size(current_database())";
        let moment: (String, String, String, i64) = ask(&doing, sqlx::query_as(sql).fetch_one(&mut link)).await?;
        let (id, text, lsn, bytes) = moment;
        Ok(Snapshot { link, db: db.to_owned(), id, text, lsn, bytes: bytes.unsigned_abs() })
    }
}

impl Snapshot {
    /// How the database writes and compares text.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn locale(&mut self) -> Result<Locale> {
        let sql = "select pg_encoding_to_char(encoding)::text, \
                          case to_jsonb(d) ->> 'datlocprovider' when 'i' then 'icu' else 'libc' end, \
                          datcollate::text, datctype::text, coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale'), \
                          to_jsonb(d) ->> 'datcollversion' \
                   from pg_database d where datname = current_database()";
        let doing = format!("read the locale of database {}", self.db);
        let found: (String, String, String, String, Option<String>, Option<String>) =
            ask(&doing, sqlx::query_as(sql).fetch_one(&mut self.link)).await?;
        let (encoding, provider, collate, ctype, icu, version) = found;
        Ok(Locale { encoding, provider, collate, ctype, icu, version })
    }

    /// Its extensions and their versions.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn extensions(&mut self) -> Result<BTreeMap<String, String>> {
        let sql = "select extname::text, extversion from pg_extension";
        let doing = format!("list the extensions of database {}", self.db);
        let rows: Vec<(String, String)> = ask(&doing, sqlx::query_as(sql).fetch_all(&mut self.link)).await?;
        Ok(rows.into_iter().collect())
    }

    /// Its sequences. They move on whatever the moment is: who wants to compare reads them first.
    ///
    /// # Errors
    /// If one cannot be read.
    pub async fn sequences(&mut self) -> Result<Vec<Sequence>> {
        let sql = "select n.nspname::text, c.relname::text, s.seqincrement > 0 and not s.seqcycle \
                   from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace \
                   where c.relpersistence <> 't' and not exists \
                     (select from pg_depend p where p.objid = c.oid and p.classid = 'pg_class'::regclass and p.deptype = 'e') \
                   order by 1, 2";
        let doing = format!("read the sequences of database {}", self.db);
        let found: Vec<(String, String, bool)> = ask(&doing, sqlx::query_as(sql).fetch_all(&mut self.link)).await?;
        let mut out = Vec::new();
        for (schema, name, grows) in found {
            let sql = format!("select last_value, is_called from {}.{}", quote(&schema), quote(&name));
            let (value, called): (i64, bool) =
                ask(&doing, sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut self.link)).await?;
            out.push(Sequence { schema, name, value, called, grows });
        }
        Ok(out)
    }

    /// Counts the rows of every table, and hashes those of which `hashed` says so by schema, name and size in bytes.
    ///
    /// # Errors
    /// If a table cannot be read whole.
    pub async fn tables(&mut self, hashed: impl Fn(&str, &str, u64) -> bool) -> Result<Vec<Table>> {
        // What belongs to an extension comes with the extension, not with the dump.
        let sql = "select n.nspname::text as schema, c.relname::text as name, pg_table_size(c.oid) as bytes \
                   from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                   where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname !~ '^pg_' \
                     and n.nspname <> 'information_schema' and not exists \
                     (select from pg_depend p where p.objid = c.oid and p.classid = 'pg_class'::regclass and p.deptype = 'e') \
                   order by 1, 2";
        let doing = format!("list the tables of database {}", self.db);
        let found: Vec<Found> = ask(&doing, sqlx::query_as(sql).fetch_all(&mut self.link)).await?;
        let mut out = Vec::new();
        for Found { schema, name, bytes } in found {
            let doing = format!("read table {schema}.{name} of database {}", self.db);
            // The alias is a name that no column has: a column of that name would be read in place of the row.
            let hash = if hashed(&schema, &name, bytes.unsigned_abs()) {
                "coalesce(sum(hashtextextended(tsh_agent_whole_row::text, 0)), 0)::text"
            } else {
                "null::text"
            };
            let sql =
                format!("select count(*), {hash} from only {}.{} tsh_agent_whole_row", quote(&schema), quote(&name));
            let query = sqlx::query_as(AssertSqlSafe(sql)).fetch_one(&mut self.link);
            let (rows, hash): (i64, Option<String>) = ask_for(READING, &doing, query).await?;
            out.push(Table { schema, name, rows: rows.unsigned_abs(), hash });
        }
        Ok(out)
    }

    /// Lets go of the moment.
    pub async fn close(self) {
        close(self.link).await;
    }
}

impl Cluster {
    /// Waits until the server answers.
    ///
    /// # Errors
    /// If it has not within `limit`.
    pub async fn wait(&self, limit: Duration) -> Result<()> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            match self.version().await {
                Ok(_) => return Ok(()),
                Err(error @ DatabaseError::Down { .. }) if tokio::time::Instant::now() < deadline => {
                    tracing::debug!("{error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
