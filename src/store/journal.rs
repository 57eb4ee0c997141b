//! Writing: accept a deployment, append to its journal.

use super::{Store, StoreError, outbox, schemas};
use crate::model::gates::Ruling;
use crate::model::journal::{Entry, Fact, Goal, Order, Output};
use crate::model::names::{App, DeploymentId};
use crate::model::notice::Moment;
use crate::model::step::Step;

impl Store {
    /// Accepts a deployment; its number. `kind` is "deploy", "rollback" or "restore", `wanted` is for people; a kept
    /// release is named, a new one is named after the deployment. `push` is the newest push that it answers, if any.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another one runs for this application; or if the state cannot be written.
    #[expect(clippy::too_many_arguments, reason = "they are the columns of one row, and are stored at once")]
    pub async fn accept(
        &self,
        app: &App,
        kind: &str,
        wanted: &str,
        order: Order,
        at: i64,
        boot: &str,
        push: Option<u32>,
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
        outbox::put(&mut transaction, app, id, Moment::Accepted, at).await?;
        let audited = super::audit::accepted(app, id, kind, wanted, &order, at);
        if let Some(newest) = push {
            super::pushes::take(&mut transaction, app, newest, id, order.revision.as_ref()).await?;
        }
        insert(&mut transaction, id, 0, &Entry { at, boot: boot.to_owned(), fact: Fact::Accepted(order) }).await?;
        super::audit::append(&mut transaction, &audited).await?;
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
                outbox::put(&mut transaction, app, id, Moment::Fetched, entry.at).await?;
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
            Fact::Done { out: Output::Judged(judgement), .. } => {
                let waits = matches!(judgement.ruling(), Ruling::Wait(_));
                sqlx::query("update deployments set state = ? where id = ?")
                    .bind(if waits { "waiting" } else { "running" })
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
                super::holds::after(&mut transaction, app, id, *verdict, entry.at).await?;
                sqlx::query("update deployments set state = ?, ended = ? where id = ?")
                    .bind(verdict.word())
                    .bind(entry.at)
                    .bind(id.0)
                    .execute(&mut *transaction)
                    .await?;
                outbox::put(&mut transaction, app, id, Moment::Ended(*verdict), entry.at).await?;
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
            | Fact::Felt(_)
            | Fact::Superseded { .. }
            | Fact::AbortAsked { .. } => {}
        }
        if let Some(record) = super::audit::happened(app, id, entry) {
            super::audit::append(&mut transaction, &record).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

pub(super) async fn insert(
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
