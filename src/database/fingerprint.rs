//! A digest of the schema: whether a migration that failed left anything behind.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;

use super::revisions::find;
use super::{Cluster, Result, ask, close, run};

/// Everything that a migration can change but rows, one line each, independent of object numbers.
const CATALOG: &str = include_str!("fingerprint.sql");

impl Cluster {
    /// SHA-256 over the schema of `db` as the catalog tells it, and over the rows of the table in which the
    /// migration tool keeps its books (`alembic_version`, `django_migrations`), if one is named. It is the same for
    /// a copy of the database. Values of sequences are not part of it, for no rollback takes them back.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn fingerprint(&self, db: &str, books: Option<&str>) -> Result<String> {
        let doing = format!("read the schema of database {db}");
        let mut link = self.link(db).await?;
        // Definitions are written relative to these settings, and the database may have its own.
        run(&mut link, &doing, "begin isolation level repeatable read read only").await?;
        run(
            &mut link,
            &doing,
            "set local search_path = pg_catalog; set local datestyle = iso; set local intervalstyle = postgres; \
             set local timezone = 'UTC'; set local quote_all_identifiers = off",
        )
        .await?;
        let mut lines: Vec<(String,)> = ask(&doing, sqlx::query_as(CATALOG).fetch_all(&mut link)).await?;
        if let Some(table) = books
            && let Some(table) = find(&mut link, table).await?
        {
            let sql = format!("select to_jsonb(t)::text from {table} t");
            lines.extend(ask(&doing, sqlx::query_as::<_, (String,)>(AssertSqlSafe(sql)).fetch_all(&mut link)).await?);
        }
        close(link).await;
        // Sorted here, by bytes: the order must not depend on a collation.
        lines.sort_unstable();
        let mut digest = Sha256::new();
        for (line,) in &lines {
            digest.update(line.as_bytes());
            digest.update(b"\n");
        }
        Ok(digest.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}
