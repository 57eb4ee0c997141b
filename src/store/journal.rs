//! Writing: accept a deployment, append to its journal.

use super::{Store, StoreError, schemas};
use crate::model::journal::{Entry, Fact, Goal, Order, Output};
use crate::model::names::{App, DeploymentId};
use crate::model::step::Step;

impl Store {
    /// Accepts a deployment; its number. `kind` is "deploy", "rollback" or "restore", `wanted` is for people; a kept release is
    /// named, a new one is named after the deployment.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another one runs for this application; or if the state cannot be written.
    pub async fn accept(
        &self,
        app: &App,
        kind: &str,
        wanted: &str,
        order: Order,
        at: i64,
        boot: &str,
    ) -> Result<DeploymentId, StoreError> {
        let kept = match order.goal {
            Goal::Release(kept) => Some(kept),
            Goal::Restore(ref restoring) => Some(restoring.release),
            Goal::Revision(_) => None,
        };
        let mut transaction = self.pool.begin().await?;
        let inserted = sqlx::query(
            "insert into deployments (app, kind, wanted, by, accepted, state, release, revision) \
             values (?, ?, ?, ?, ?, 'running', ?, ?)",
        )
        .bind(app.as_str())
        .bind(kind)
        .bind(wanted)
        .bind(&order.by)
        .bind(at)
        .bind(kept.map_or(0, |kept| kept.0))
        .bind(order.revision.as_ref().map(|revision| revision.as_str().to_owned()))
        .execute(&mut *transaction)
        .await;
        let row = match inserted {
            Ok(done) => done.last_insert_rowid(),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => return Err(StoreError::Busy),
            Err(error) => return Err(error.into()),
        };
        let id = DeploymentId(u32::try_from(row).unwrap_or(u32::MAX));
        if kept.is_none() {
            sqlx::query("update deployments set release = id where id = ?")
                .bind(id.0)
                .execute(&mut *transaction)
                .await?;
        }
        insert(&mut transaction, id, 0, &Entry { at, boot: boot.to_owned(), fact: Fact::Accepted(order) }).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Appends to the journal, and keeps what is derived from it in step, in one transaction.
    ///
    /// # Errors
    /// If it could not be written; then nothing was.
    pub async fn append(&self, app: &App, id: DeploymentId, seq: usize, entry: &Entry) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        insert(&mut transaction, id, seq, entry).await?;
        match &entry.fact {
            Fact::Done { step: Step::Fetch, out: Output::Fetched(fetched) } => {
                sqlx::query("update deployments set revision = ?, subject = ? where id = ?")
                    .bind(fetched.revision.as_str())
                    .bind(&fetched.subject)
                    .bind(id.0)
                    .execute(&mut *transaction)
                    .await?;
            }
            Fact::Done { step: Step::Seal, .. } => {
                sqlx::query(
                    "insert or replace into releases (id, app, revision, subject) \
                     select id, ?, coalesce(revision, ''), coalesce(subject, '') from deployments where id = ?",
                )
                .bind(app.as_str())
                .bind(id.0)
                .execute(&mut *transaction)
                .await?;
            }
            Fact::Done { step: Step::Rehearse, out: Output::Rehearsed(rehearsal) } => {
                schemas::rehearsed(&mut transaction, app, id, rehearsal).await?;
            }
            Fact::Done { step: Step::Migrate, out: Output::Migrated { heads } } => {
                schemas::migrated(&mut transaction, app, id, heads).await?;
            }
            Fact::Ended { verdict, .. } => {
                sqlx::query("update deployments set state = ?, ended = ? where id = ?")
                    .bind(verdict.word())
                    .bind(entry.at)
                    .bind(id.0)
                    .execute(&mut *transaction)
                    .await?;
            }
            Fact::Retried { .. } => {
                sqlx::query("update deployments set state = 'running', ended = null where id = ?")
                    .bind(id.0)
                    .execute(&mut *transaction)
                    .await?;
            }
            Fact::Accepted(_)
            | Fact::Intent { .. }
            | Fact::Done { .. }
            | Fact::Failed { .. }
            | Fact::Void { .. }
            | Fact::Resumed
            | Fact::AbortAsked { .. } => {}
        }
        transaction.commit().await?;
        Ok(())
    }
}

async fn insert(
    transaction: &mut sqlx::SqliteTransaction<'_>,
    id: DeploymentId,
    seq: usize,
    entry: &Entry,
) -> Result<(), StoreError> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let fact =
        serde_json::to_string(&entry.fact).map_err(|source| StoreError::Foreign { deployment: id, seq, source })?;
    sqlx::query("insert into journal (deployment, seq, at, boot, fact) values (?, ?, ?, ?, ?)")
        .bind(id.0)
        .bind(seq)
        .bind(entry.at)
        .bind(&entry.boot)
        .bind(fact)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
