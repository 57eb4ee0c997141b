//! What is remembered of pushes until their turn comes, and for a while after.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};
use crate::model::names::{App, DeploymentId, Sha};
use crate::model::push::{Push, PushState, PushView};

/// After this a push is forgotten, in milliseconds. The same one again is then a new one, which finds nothing new.
const MEMORY: i64 = 90 * 24 * 3600 * 1000;

const COLUMNS: &str = "id, app, at, trigger, by, revision, state, note, deployment";

impl Store {
    /// Remembers a push; its number, and whether it is a new one. The same delivery or the same commit is not, and of
    /// those that name no commit one is enough while it waits.
    ///
    /// # Errors
    /// If the state cannot be written; then nothing is remembered.
    pub async fn remember_push(&self, app: &App, push: &Push, at: i64) -> Result<(u32, bool), StoreError> {
        let trigger = serde_json::to_string(&push.trigger).map_err(encode)?;
        let mut transaction = self.pool.begin().await?;
        let known: Option<u32> = sqlx::query_scalar(
            "select id from pushes where app = ?1 and (delivery = ?2 or (revision = ?3 and pinned = 0) \
             or (?2 is null and ?3 is null and state = 'waiting' and trigger = ?4)) order by id desc limit 1",
        )
        .bind(app.as_str())
        .bind(push.delivery().map(|delivery| delivery.as_str().to_owned()))
        .bind(push.revision.as_ref().map(|revision| revision.as_str().to_owned()))
        .bind(&trigger)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(known) = known {
            return Ok((known, false));
        }
        sqlx::query("delete from pushes where state <> 'waiting' and at < ?")
            .bind(at - MEMORY)
            .execute(&mut *transaction)
            .await?;
        let inserted = sqlx::query(
            "insert into pushes (app, at, trigger, by, delivery, revision, pinned, state, note) \
             values (?, ?, ?, ?, ?, ?, 0, 'waiting', '')",
        )
        .bind(app.as_str())
        .bind(at)
        .bind(&trigger)
        .bind(&push.by)
        .bind(push.delivery().map(|delivery| delivery.as_str().to_owned()))
        .bind(push.revision.as_ref().map(|revision| revision.as_str().to_owned()))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((u32::try_from(inserted.last_insert_rowid()).unwrap_or(u32::MAX), true))
    }

    /// Those whose turn has not come, oldest first; of all applications if none is named.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn waiting_pushes(&self, app: Option<&App>) -> Result<Vec<PushView>, StoreError> {
        let query =
            format!("select {COLUMNS} from pushes where state = 'waiting' and (?1 is null or app = ?1) order by id");
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(app.map(|app| app.as_str().to_owned()))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(view).collect()
    }

    /// Those up to this one are over, without a deployment.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn end_pushes(&self, app: &App, newest: u32, state: PushState, note: &str) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("update pushes set state = ?, note = ? where app = ? and state = 'waiting' and id <= ?")
            .bind(state.word())
            .bind(note)
            .bind(app.as_str())
            .bind(newest)
            .execute(&mut *transaction)
            .await?;
        // Asking every few minutes would fill the table, and tells nothing.
        sqlx::query(
            "delete from pushes where app = ? and state = 'nothing-new' and json_extract(trigger, '$.kind') = 'poll'",
        )
        .bind(app.as_str())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The last deployment of this commit that was not a way back, with the word of its state.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn tried(&self, app: &App, revision: &Sha) -> Result<Option<(DeploymentId, String)>, StoreError> {
        let row = sqlx::query(
            "select id, state from deployments where app = ? and revision = ? and kind = 'deploy' \
             order by id desc limit 1",
        )
        .bind(app.as_str())
        .bind(revision.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| (DeploymentId(row.get::<u32, _>(0)), row.get(1))))
    }
}

/// In the transaction that accepts a deployment: it answers all pushes up to this one.
pub(super) async fn take(
    transaction: &mut sqlx::SqliteTransaction<'_>,
    app: &App,
    newest: u32,
    id: DeploymentId,
) -> Result<(), StoreError> {
    sqlx::query("update pushes set state = 'taken', deployment = ? where app = ? and state = 'waiting' and id <= ?")
        .bind(id.0)
        .bind(app.as_str())
        .bind(newest)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn encode(error: serde_json::Error) -> StoreError {
    StoreError::Sql(sqlx::Error::Encode(error.into()))
}

fn view(row: &SqliteRow) -> Result<PushView, StoreError> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| StoreError::Sql(sqlx::Error::Decode(error));
    let revision: Option<String> = row.get(5);
    Ok(PushView {
        id: row.get(0),
        app: row.get::<String, _>(1).parse().map_err(|bad: crate::model::names::BadName| decode(bad.into()))?,
        at: row.get(2),
        trigger: serde_json::from_str(row.get(3)).map_err(|error| decode(error.into()))?,
        by: row.get(4),
        revision: revision
            .map(|text| text.parse())
            .transpose()
            .map_err(|bad: crate::model::names::BadName| decode(bad.into()))?,
        state: serde_json::from_value(row.get::<String, _>(6).into()).map_err(|error| decode(error.into()))?,
        note: row.get(7),
        deployment: row.get::<Option<u32>, _>(8).map(DeploymentId),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::{Goal, Order};
    use crate::model::trigger::{Forge, Trigger};

    async fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state.db")).await.unwrap();
        (folder, store)
    }

    fn hook(delivery: &str, revision: &str) -> Push {
        Push {
            trigger: Trigger::Webhook { forge: Forge::Github, delivery: delivery.parse().ok(), sender: None },
            by: "github".to_owned(),
            revision: Some(revision.repeat(40).parse().unwrap()),
        }
    }

    fn poll() -> Push {
        Push { trigger: Trigger::Poll, by: "polling".to_owned(), revision: None }
    }

    #[tokio::test]
    async fn the_same_delivery_or_the_same_commit_is_one_push_also_when_it_is_over() {
        let (_folder, store) = store().await;
        let (app, other): (App, App) = ("erp".parse().unwrap(), "shop".parse().unwrap());
        let remember = |push: Push, app: App| {
            let store = store.clone();
            async move { store.remember_push(&app, &push, 1).await.unwrap() }
        };
        assert_eq!(remember(hook("d1", "a"), app.clone()).await, (1, true));
        assert_eq!(remember(hook("d1", "b"), app.clone()).await, (1, false), "the id is not signed: it counts alone");
        assert_eq!(remember(hook("d2", "a"), app.clone()).await, (1, false), "another id, the same commit");
        assert_eq!(remember(hook("d3", "b"), app.clone()).await, (2, true));
        assert_eq!(remember(hook("d1", "a"), other).await, (3, true), "another application");
        store.end_pushes(&app, 2, PushState::NothingNew, "").await.unwrap();
        assert_eq!(remember(hook("d4", "a"), app.clone()).await, (1, false), "an old one again");
        // In three months it is forgotten, and finds nothing new.
        assert!(store.remember_push(&app, &hook("d9", "c"), MEMORY + 2).await.unwrap().1);
        assert!(store.remember_push(&app, &hook("d1", "a"), MEMORY + 3).await.unwrap().1);
    }

    #[tokio::test]
    async fn of_pushes_without_a_commit_one_waits_and_the_next_comes_after_it() {
        let (_folder, store) = store().await;
        let app = "erp".parse().unwrap();
        let first = store.remember_push(&app, &poll(), 1).await.unwrap();
        assert_eq!(store.remember_push(&app, &poll(), 2).await.unwrap(), (first.0, false));
        let git = Push { trigger: Trigger::PostReceive { user: "git".to_owned() }, ..poll() };
        assert!(store.remember_push(&app, &git, 3).await.unwrap().1);
        store.end_pushes(&app, first.0, PushState::NothingNew, "a is live").await.unwrap();
        let waiting = store.waiting_pushes(Some(&app)).await.unwrap();
        assert_eq!(waiting.iter().map(|push| &push.trigger).collect::<Vec<_>>(), [&git.trigger]);
        let polls: i64 = sqlx::query_scalar("select count(*) from pushes where by = 'polling' and state <> 'waiting'")
            .fetch_one(&store.pool)
            .await
            .unwrap();
        assert_eq!(polls, 0, "asking in vain leaves nothing behind");
        assert!(store.remember_push(&app, &poll(), 4).await.unwrap().1);
    }

    #[tokio::test]
    async fn a_deployment_answers_every_push_before_it_in_the_same_instant() {
        let (folder, store) = store().await;
        let app = "erp".parse().unwrap();
        for (delivery, revision) in [("d1", "a"), ("d2", "b"), ("d3", "c")] {
            store.remember_push(&app, &hook(delivery, revision), 1).await.unwrap();
        }
        let revision: Sha = "b".repeat(40).parse().unwrap();
        let order = Order {
            goal: Goal::Revision(None),
            from: None,
            from_revision: None,
            revision: Some(revision.clone()),
            by: "github".into(),
            force: false,
            trigger: Trigger::Poll,
        };
        assert_eq!(store.tried(&app, &revision).await.unwrap(), None);
        let id = store.accept(&app, "deploy", "main", order.clone(), 2, "b", Some(2)).await.unwrap();
        // One that cannot be accepted answers nothing.
        assert!(store.accept(&app, "deploy", "main", order, 2, "b", Some(3)).await.is_err());
        drop(store);
        let store = Store::open(&folder.path().join("state.db")).await.unwrap();
        let waiting = store.waiting_pushes(None).await.unwrap();
        assert_eq!(waiting.iter().map(|push| push.id).collect::<Vec<_>>(), [3]);
        assert_eq!(store.tried(&app, &revision).await.unwrap(), Some((id, "running".to_owned())));
        let taken: Vec<(String, u32)> =
            sqlx::query_as("select state, deployment from pushes where id < 3").fetch_all(&store.pool).await.unwrap();
        assert_eq!(taken, [("taken".to_owned(), id.0), ("taken".to_owned(), id.0)]);
    }
}
