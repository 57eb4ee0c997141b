//! A release that was live before there was an agent.

use super::journal::insert;
use super::{Store, StoreError};
use crate::model::journal::{Entry, Fact, Order};
use crate::model::names::{App, DeploymentId, ReleaseId, Sha};
use crate::model::outcome::Verdict;

impl Store {
    /// Takes a release up as the good one, under a number of its own, in one transaction. Asked again for the newest
    /// one, it answers the same number: whoever asked may have crashed before it was written down.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if a deployment runs; or if the state cannot be written.
    pub async fn adopt(
        &self,
        app: &App,
        revision: &Sha,
        subject: &str,
        order: Order,
        at: i64,
        boot: &str,
    ) -> Result<ReleaseId, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let last: Option<(u32, String, String, Option<String>)> =
            sqlx::query_as("select id, kind, state, revision from deployments where app = ? order by id desc limit 1")
                .bind(app.as_str())
                .fetch_optional(&mut *transaction)
                .await?;
        match last {
            Some((id, kind, _, Some(before))) if kind == "adopt" && before == revision.as_str() => {
                return Ok(ReleaseId(id));
            }
            Some((_, _, state, _)) if state == "running" => return Err(StoreError::Busy),
            _ => {}
        }
        let row = sqlx::query(
            "insert into deployments (app, kind, wanted, by, accepted, ended, state, release, revision, subject) \
             values (?1, 'adopt', 'what ran before', ?2, ?3, ?3, ?4, 0, ?5, ?6)",
        )
        .bind(app.as_str())
        .bind(&order.by)
        .bind(at)
        .bind(Verdict::Deployed.word())
        .bind(revision.as_str())
        .bind(subject)
        .execute(&mut *transaction)
        .await?
        .last_insert_rowid();
        let id = DeploymentId(u32::try_from(row).unwrap_or(u32::MAX));
        let derived = [
            "update deployments set release = id where id = ?1",
            "insert or replace into releases (id, app, revision, subject) \
             select id, app, revision, subject from deployments where id = ?1",
            "insert or replace into good (app, release, deployment) select app, id, id from deployments where id = ?1",
        ];
        for statement in derived {
            sqlx::query(statement).bind(id.0).execute(&mut *transaction).await?;
        }
        let ended = Fact::Ended { verdict: Verdict::Deployed, note: Some("it ran in place before".to_owned()) };
        for (seq, fact) in [Fact::Accepted(order), ended].into_iter().enumerate() {
            insert(&mut transaction, id, seq, &Entry { at, boot: boot.to_owned(), fact }).await?;
        }
        transaction.commit().await?;
        Ok(ReleaseId(id.0))
    }
}
