//! Watching what somebody else does to a database: locks, rewritten tables, transactions. Facts of the server, not
//! guesses from the text of a migration.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::{Cluster, Result, ask, close};
use crate::model::rehearsal::{Held, Statement, Watched};

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(20);
/// Locks that are told.
const TOLD: usize = 20;
/// What is shorter is not worth telling.
const SLOW: u64 = 100;

/// A database at one moment.
#[derive(Debug)]
struct Picture {
    relations: BTreeMap<i64, Relation>,
    invalid: BTreeSet<String>,
    unvalidated: BTreeSet<String>,
    /// The next number of a transaction.
    next: i64,
    log: i64,
    bytes: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct Relation {
    oid: i64,
    name: String,
    table_like: bool,
    file: i64,
    bytes: i64,
}

/// Somebody who looks every 20 ms, on a connection of his own.
pub struct Watch {
    link: PgConnection,
    db: String,
    /// The table in which the migration tool keeps its books: locked all the time, and of no interest.
    books: Option<String>,
    before: Picture,
    began: Instant,
    /// First and last sight of a lock, by transaction, table and mode.
    held: BTreeMap<(String, i64, String), (Instant, Instant)>,
    slowest: Option<Statement>,
}

impl Cluster {
    /// Begins to watch `db`. Nobody else may be at work in the cluster.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn watch(&self, db: &str, books: Option<&str>) -> Result<Watch> {
        let mut link = self.link(db).await?;
        let before = picture(&mut link, db).await?;
        Ok(Watch {
            link,
            db: db.to_owned(),
            books: books.map(|table| table.split_once('.').map_or(table, |(_, table)| table).to_owned()),
            before,
            began: Instant::now(),
            held: BTreeMap::new(),
            slowest: None,
        })
    }

    /// The size of `db` on disk in bytes.
    ///
    /// # Errors
    /// If there is no such database, or the server cannot be asked.
    pub async fn bytes(&self, db: &str) -> Result<u64> {
        let mut link = self.link(super::MAINTENANCE).await?;
        let sql = "select pg_database_size(oid) from pg_database where datname = $1";
        let query = sqlx::query_as(sql).bind(db).fetch_optional(&mut link);
        let size: Option<(i64,)> = ask(&format!("measure database {db}"), query).await?;
        close(link).await;
        size.map(|(bytes,)| bytes.unsigned_abs()).ok_or_else(|| super::DatabaseError::NoDatabase(db.to_owned()))
    }

    /// Indexes of `db` that are there and do not work: what a creation left that ran beside everything and failed.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn invalid_indexes(&self, db: &str) -> Result<BTreeSet<String>> {
        let mut link = self.link(db).await?;
        let found = invalid(&mut link, db).await?;
        close(link).await;
        Ok(found)
    }
}

impl Watch {
    /// Looks until this future is dropped.
    pub async fn look_on(&mut self) -> Result<()> {
        loop {
            self.look().await?;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn look(&mut self) -> Result<()> {
        let sql = "select l.virtualtransaction, l.relation::int8, l.mode from pg_locks l \
                   where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid() \
                     and l.database = (select oid from pg_database where datname = current_database())";
        let doing = format!("look at the locks in database {}", self.db);
        let locks: Vec<(String, i64, String)> = ask(&doing, sqlx::query_as(sql).fetch_all(&mut self.link)).await?;
        let now = Instant::now();
        for lock in locks {
            if self.is_known_table(lock.1) {
                self.held.entry(lock).or_insert((now, now)).1 = now;
            }
        }
        let sql = "select left(query, 200), (extract(epoch from clock_timestamp() - query_start) * 1000)::int8 \
                   from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state = 'active' \
                   order by 2 desc limit 1";
        let query = sqlx::query_as(sql).fetch_optional(&mut self.link);
        let running: Option<(String, i64)> = ask(&doing, query).await?;
        if let Some((text, ms)) = running {
            let ms = ms.max(0).unsigned_abs();
            if ms >= SLOW && self.slowest.as_ref().is_none_or(|slowest| slowest.ms < ms) {
                self.slowest = Some(Statement { text: text.split_whitespace().collect::<Vec<_>>().join(" "), ms });
            }
        }
        Ok(())
    }

    fn is_known_table(&self, relation: i64) -> bool {
        let known = self.before.relations.get(&relation).filter(|known| known.table_like);
        known
            .is_some_and(|known| self.books.as_deref().is_none_or(|books| known.name.rsplit('.').next() != Some(books)))
    }

    /// What has happened since it began.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn conclude(mut self) -> Result<Watched> {
        let took = millis(self.began.elapsed());
        let after = picture(&mut self.link, &self.db).await?;
        close(self.link).await;
        let before = self.before;
        let anew =
            |relation: &&Relation| before.relations.get(&relation.oid).is_none_or(|known| known.file != relation.file);
        let new_files: i64 = after.relations.values().filter(anew).map(|relation| relation.bytes).sum();
        let replaced =
            |known: &&Relation| after.relations.get(&known.oid).is_none_or(|relation| relation.file != known.file);
        let old_files: i64 = before.relations.values().filter(replaced).map(|relation| relation.bytes).sum();
        let rewritten = after.relations.values().filter(|relation| relation.table_like);
        let rewritten = rewritten.filter(|relation| before.relations.contains_key(&relation.oid)).filter(anew);
        let growth = after.bytes - before.bytes;

        let mut longest: BTreeMap<(String, String), u64> = BTreeMap::new();
        for ((_, relation, mode), (first, last)) in self.held {
            let Some(known) = before.relations.get(&relation) else { continue };
            let ms = match last.duration_since(first) {
                Duration::ZERO => 0,
                // It was held a little before the first look and a little after the last one.
                seen => millis(seen + INTERVAL),
            };
            let longest = longest.entry((known.name.clone(), mode)).or_default();
            *longest = ms.max(*longest);
        }
        let mut locks: Vec<Held> =
            longest.into_iter().map(|((table, mode), ms)| Held { table, mode, ms }).filter(Held::blocks).collect();
        locks.sort_by_key(|lock| std::cmp::Reverse(lock.ms));
        locks.truncate(TOLD);
        Ok(Watched {
            took,
            transactions: after.next.abs_diff(before.next),
            locks,
            rewritten: rewritten.map(|relation| relation.name.clone()).collect(),
            // A scratch cluster logs nothing of the files that it makes anew; a server that is backed up does.
            log_bytes: after.log.abs_diff(before.log) + new_files.unsigned_abs(),
            growth,
            peak: (growth + old_files).max(0).unsigned_abs(),
            invalid: after.invalid.difference(&before.invalid).cloned().collect(),
            unvalidated: after.unvalidated.difference(&before.unvalidated).cloned().collect(),
            slowest: self.slowest,
        })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

async fn picture(link: &mut PgConnection, db: &str) -> Result<Picture> {
    let doing = format!("look at database {db}");
    // A relation without a file of its own, such as a partitioned table, has file 0 for good.
    let sql = "select c.oid::int8 as oid, format('%I.%I', n.nspname, c.relname) as name, \
                      c.relkind in ('r', 'p', 'm') as table_like, \
                      coalesce(pg_relation_filenode(c.oid), 0)::int8 as file, \
                      case when c.relkind = 'p' then 0 else pg_relation_size(c.oid) end as bytes \
               from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where c.relkind in ('r', 'p', 'm', 'i', 't') and c.relpersistence <> 't' \
                 and (n.nspname !~ '^pg_' or n.nspname = 'pg_toast') and n.nspname <> 'information_schema' \
                 and c.oid >= 16384";
    let relations: Vec<Relation> = ask(&doing, sqlx::query_as(sql).fetch_all(&mut *link)).await?;
    let sql = "select format('%s.%s', conrelid::regclass, conname) from pg_constraint \
               where not convalidated and conrelid <> 0";
    let unvalidated: Vec<(String,)> = ask(&doing, sqlx::query_as(sql).fetch_all(&mut *link)).await?;
    let sql = "select pg_snapshot_xmax(pg_current_snapshot())::text::int8, \
                      pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8, pg_database_size(current_database())";
    let (next, log, bytes): (i64, i64, i64) = ask(&doing, sqlx::query_as(sql).fetch_one(&mut *link)).await?;
    Ok(Picture {
        relations: relations.into_iter().map(|relation| (relation.oid, relation)).collect(),
        invalid: invalid(link, db).await?,
        unvalidated: unvalidated.into_iter().map(|(name,)| name).collect(),
        next,
        log,
        bytes,
    })
}

async fn invalid(link: &mut PgConnection, db: &str) -> Result<BTreeSet<String>> {
    // One that is being made right now is not valid yet, and none of a failure.
    let sql = "select format('%I.%I', n.nspname, c.relname) from pg_index i join pg_class c on c.oid = i.indexrelid \
               join pg_namespace n on n.oid = c.relnamespace \
               where not i.indisvalid and c.relkind = 'i' and not exists \
                 (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)";
    let rows: Vec<(String,)> =
        ask(&format!("look at the indexes of database {db}"), sqlx::query_as(sql).fetch_all(link)).await?;
    Ok(rows.into_iter().map(|(name,)| name).collect())
}
