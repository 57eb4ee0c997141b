//! Which revisions the database says it is at.

use sqlx::{AssertSqlSafe, PgConnection};

use super::{Cluster, DatabaseError, Result, ask, close, quote};
use crate::model::names::SchemaRevision;

impl Cluster {
    /// The revisions in Alembic's version table; none if there is no such table yet.
    ///
    /// # Errors
    /// If several schemas have such a table and none is named, or the database cannot be read.
    pub async fn schema_revisions(&self, db: &str, table: &str) -> Result<Vec<SchemaRevision>> {
        let mut link = self.link(db).await?;
        let Some(table) = find(&mut link, table).await? else {
            close(link).await;
            return Ok(Vec::new());
        };
        let sql = format!("select version_num::text from {table} order by 1");
        let doing = format!("read {table} in database {db}");
        let rows: Vec<(String,)> = ask(&doing, sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut link)).await?;
        close(link).await;
        rows.into_iter()
            .map(|(text,)| text.parse())
            .collect::<std::result::Result<_, _>>()
            .map_err(|bad| DatabaseError::Failed { doing, why: format!("{bad}") })
    }
}

/// The table as it is written in SQL. It is looked for in every schema if none is named: the application's role
/// may have a search path that ours has not, and to take a database for an empty one would be the worst mistake.
pub(super) async fn find(link: &mut PgConnection, table: &str) -> Result<Option<String>> {
    let (schema, name) = match table.split_once('.') {
        Some((schema, name)) => (Some(schema), name),
        None => (None, table),
    };
    let sql = "select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace \
               where c.relname = $1 and ($2::text is null or n.nspname = $2) and c.relkind in ('r', 'p') \
                 and n.nspname !~ '^pg_' order by 1";
    let query = sqlx::query_as(sql).bind(name).bind(schema);
    let found: Vec<(String, String)> = ask(&format!("look for table {table}"), query.fetch_all(link)).await?;
    match found.as_slice() {
        [] => Ok(None),
        [(schema, name)] => Ok(Some(format!("{}.{}", quote(schema), quote(name)))),
        [(one, _), (other, _), ..] => Err(DatabaseError::refused(
            format!("table {table} exists in several schemas: {one}, {other}"),
            format!("name the right one in the settings: table = \"{one}.{table}\""),
        )),
    }
}
