//! Which releases live on which schema, and which one knows it: kept in step with the journals that say so.

use sqlx::{Row, SqliteTransaction};

use super::{Store, StoreError};
use crate::model::names::{App, DeploymentId, ReleaseId, SchemaRevision, Sha};
use crate::model::rehearsal::Rehearsal;

/// Revisions as one text, in an order of their own.
fn text(schema: &[SchemaRevision]) -> String {
    let mut words: Vec<&str> = schema.iter().map(SchemaRevision::as_str).collect();
    words.sort_unstable();
    words.join(",")
}

/// Keeps what a rehearsal has proven. What was proven about a schema of that name before was about other migrations.
pub(super) async fn rehearsed(
    transaction: &mut SqliteTransaction<'_>,
    app: &App,
    id: DeploymentId,
    rehearsal: &Rehearsal,
) -> Result<(), StoreError> {
    let schema = text(&rehearsal.target);
    sqlx::query("delete from proven where app = ? and schema = ?")
        .bind(app.as_str())
        .bind(&schema)
        .execute(&mut **transaction)
        .await?;
    let Some((revision, target)) = rehearsal.compatible().filter(|(_, target)| !target.is_empty()) else {
        return Ok(());
    };
    sqlx::query("insert into proven (app, schema, revision, deployment) values (?, ?, ?, ?)")
        .bind(app.as_str())
        .bind(text(target))
        .bind(revision.as_str())
        .bind(id.0)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// Keeps which release knows a schema. What another deployment proved about one of that name is void.
pub(super) async fn migrated(
    transaction: &mut SqliteTransaction<'_>,
    app: &App,
    id: DeploymentId,
    heads: &[SchemaRevision],
) -> Result<(), StoreError> {
    if heads.is_empty() {
        return Ok(());
    }
    let schema = text(heads);
    sqlx::query("delete from proven where app = ? and schema = ? and deployment <> ?")
        .bind(app.as_str())
        .bind(&schema)
        .bind(id.0)
        .execute(&mut **transaction)
        .await?;
    sqlx::query("insert or replace into migrated (app, schema, release) values (?, ?, ?)")
        .bind(app.as_str())
        .bind(&schema)
        .bind(id.0)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

impl Store {
    /// Whether a rehearsal has proven that this commit lives on this schema.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn proven_on(&self, app: &App, revision: &Sha, schema: &[SchemaRevision]) -> Result<bool, StoreError> {
        let row = sqlx::query("select 1 from proven where app = ? and schema = ? and revision = ?")
            .bind(app.as_str())
            .bind(text(schema))
            .bind(revision.as_str())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// The release that migrated to this schema, if one did here.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn migrated_to(&self, app: &App, schema: &[SchemaRevision]) -> Result<Option<ReleaseId>, StoreError> {
        let row = sqlx::query("select release from migrated where app = ? and schema = ?")
            .bind(app.as_str())
            .bind(text(schema))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| ReleaseId(row.get::<u32, _>(0))))
    }
}
