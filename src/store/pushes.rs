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
    /// Remembers a push; its number, and whether it is a new one. The same delivery or the same commit is not, of those
    /// that name no commit one is enough while it waits, and what a program asks for is the same until it has ended.
    ///
    /// # Errors
    /// If the state cannot be written; then nothing is remembered.
    pub async fn remember_push(&self, app: &App, push: &Push, at: i64) -> Result<(u32, bool), StoreError> {
        let trigger = serde_json::to_string(&push.trigger).map_err(encode)?;
        let mut transaction = self.pool.begin().await?;
        let known: Option<u32> = sqlx::query_scalar(
            "select id from pushes where app = ?1 and (delivery = ?2 or (?5 = 0 and pinned = 0 and revision = ?3) \
             or (?2 is null and ?3 is null and state = 'waiting' and trigger = ?4) \
             or (?5 = 1 and pinned = 1 and revision = ?3 and trigger = ?4 and (state = 'waiting' \
             or deployment in (select id from deployments where ended is null)))) order by id desc limit 1",
        )
        .bind(app.as_str())
        .bind(push.delivery().map(|delivery| delivery.as_str().to_owned()))
        .bind(push.revision.as_ref().map(|revision| revision.as_str().to_owned()))
        .bind(&trigger)
        .bind(push.trigger.is_pinned())
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
             values (?, ?, ?, ?, ?, ?, ?, 'waiting', '')",
        )
        .bind(app.as_str())
        .bind(at)
        .bind(&trigger)
        .bind(&push.by)
        .bind(push.delivery().map(|delivery| delivery.as_str().to_owned()))
        .bind(push.revision.as_ref().map(|revision| revision.as_str().to_owned()))
        .bind(push.trigger.is_pinned())
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

    /// One push, whatever came of it.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn push(&self, id: u32) -> Result<Option<PushView>, StoreError> {
        let query = format!("select {COLUMNS} from pushes where id = ?");
        let row = sqlx::query(sqlx::AssertSqlSafe(query)).bind(id).fetch_optional(&self.pool).await?;
        row.map(|row| view(&row)).transpose()
    }

    /// Those hints up to this one are over, without a deployment.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn end_pushes(&self, app: &App, newest: u32, state: PushState, note: &str) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "update pushes set state = ?, note = ? where app = ? and state = 'waiting' and id <= ? and pinned = 0",
        )
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

    /// The last deployment of this commit that was not a way back, with the word of its state. What made way while it
    /// waited was not tried, and what a person has forgiven counts from then on.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn tried(&self, app: &App, revision: &Sha) -> Result<Option<(DeploymentId, String)>, StoreError> {
        let row = sqlx::query(
            "select id, state from deployments where app = ?1 and revision = ?2 and kind = 'deploy' \
             and state <> 'superseded' and id > \
             coalesce((select deployment from quarantined where app = ?1 and revision = ?2 and forgiven = 1), 0) \
             order by id desc limit 1",
        )
        .bind(app.as_str())
        .bind(revision.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| (DeploymentId(row.get::<u32, _>(0)), row.get(1))))
    }
}

/// In the transaction that accepts a deployment of `revision`: it answers the pushes up to this one. A commit that a
/// program asked for is answered by itself alone, and gives way to a newer one; it says nothing about what the remote has.
pub(super) async fn take(
    transaction: &mut sqlx::SqliteTransaction<'_>,
    app: &App,
    newest: u32,
    id: DeploymentId,
    revision: Option<&Sha>,
) -> Result<(), StoreError> {
    sqlx::query(
        "update pushes set state = iif(pinned = 0 or revision = ?1, 'taken', 'superseded'), \
         deployment = iif(pinned = 0 or revision = ?1, ?2, null), \
         note = iif(pinned = 0 or revision = ?1, '', 'deployment ' || ?2 || ' of a newer one went before') \
         where app = ?3 and state = 'waiting' and id <= ?4 \
         and (pinned = 1 or (select pinned from pushes where id = ?4) = 0)",
    )
    .bind(revision.map(|revision| revision.as_str().to_owned()))
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
    use crate::model::gates::{Answer, Gate, Judgement as Gates, Reply};
    use crate::model::journal::{Entry, Fact, Goal, Order, Output};
    use crate::model::outcome::Verdict;
    use crate::model::step::Step;
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

    fn key(revision: &str) -> Push {
        let trigger = Trigger::ApiKey { name: "ci".parse().unwrap() };
        Push { by: trigger.by(""), trigger, revision: Some(revision.repeat(40).parse().unwrap()) }
    }

    fn pinned(revision: &str) -> Order {
        Order {
            goal: Goal::Revision(None),
            from: None,
            from_revision: None,
            revision: Some(revision.repeat(40).parse().unwrap()),
            by: "key ci".into(),
            force: false,
            trigger: Trigger::Poll,
            slots: false,
            overrides: Vec::new(),
            who: Default::default(),
        }
    }

    #[tokio::test]
    async fn what_a_program_asks_for_is_answered_by_itself_and_gives_way_to_a_newer_one() {
        let (_folder, store) = store().await;
        let app: App = "erp".parse().unwrap();
        let remember = async |push: Push| store.remember_push(&app, &push, 1).await.unwrap();
        let state = async |id: u32| store.push(id).await.unwrap().unwrap().state;
        assert_eq!(remember(hook("d1", "b")).await, (1, true));
        assert_eq!(remember(key("a")).await, (2, true));
        assert_eq!(remember(key("a")).await, (2, false), "asked again, it is the same");
        assert_eq!(remember(key("b")).await, (3, true), "a hint about it is something else");
        let first = store.accept(&app, "deploy", "main", pinned("b"), 2, "b", Some(3)).await.unwrap();
        assert_eq!(store.push(3).await.unwrap().unwrap().deployment, Some(first));
        assert_eq!((state(1).await, state(2).await), (PushState::Waiting, PushState::Superseded));
        assert_eq!(remember(key("b")).await, (3, false), "while it runs");
        assert_eq!(remember(key("a")).await, (4, true));
        // Nothing new at the remote says nothing about what was asked for.
        store.end_pushes(&app, 4, PushState::NothingNew, "").await.unwrap();
        assert_eq!((state(1).await, state(4).await), (PushState::NothingNew, PushState::Waiting));
        let entry = crate::model::journal::Entry {
            at: 3,
            boot: "b".into(),
            fact: crate::model::journal::Fact::Ended { verdict: crate::model::outcome::Verdict::Failed, note: None },
        };
        store.append(&app, first, 1, &entry).await.unwrap();
        assert_eq!(remember(key("b")).await, (5, true), "it has ended, so it is asked anew");
        assert_eq!(remember(hook("d2", "c")).await, (6, true));
        store.accept(&app, "deploy", "main", pinned("c"), 4, "b", Some(6)).await.unwrap();
        let states = [state(4).await, state(5).await, state(6).await];
        assert_eq!(states, [PushState::Superseded, PushState::Superseded, PushState::Taken]);
    }

    #[tokio::test]
    async fn what_waits_for_its_gates_is_asked_for_once_and_was_not_tried_if_it_made_way() {
        let (_folder, store) = store().await;
        let app: App = "erp".parse().unwrap();
        let entry = |fact| Entry { at: 3, boot: "b".into(), fact };
        assert_eq!(store.remember_push(&app, &key("a"), 1).await.unwrap(), (1, true));
        let id = store.accept(&app, "deploy", "main", pinned("a"), 2, "b", Some(1)).await.unwrap();
        let lock = Answer {
            gate: Gate::Lock,
            reply: Reply::Wait { until: None },
            reason: "locked".into(),
            lift: None,
            since: Some(3),
            seen: None,
        };
        let waits = Output::Judged(Gates { answers: vec![lock] });
        store.append(&app, id, 1, &entry(Fact::Done { step: Step::Gates, out: waits })).await.unwrap();
        assert_eq!(store.remember_push(&app, &key("a"), 4).await.unwrap(), (1, false), "it is what waits");
        let revision: Sha = "a".repeat(40).parse().unwrap();
        assert_eq!(store.tried(&app, &revision).await.unwrap(), Some((id, "waiting".to_owned())));
        let ended = Fact::Ended { verdict: Verdict::Superseded, note: None };
        store.append(&app, id, 2, &entry(ended)).await.unwrap();
        assert_eq!(store.tried(&app, &revision).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_a_person_has_ordered_is_not_ended_by_a_push() {
        let (_folder, store) = store().await;
        let (person, push): (App, App) = ("erp".parse().unwrap(), "shop".parse().unwrap());
        let typed = Order { trigger: Trigger::Person, ..pinned("a") };
        store.accept(&person, "deploy", "main", typed, 2, "b", None).await.unwrap();
        store.accept(&push, "deploy", "main", pinned("a"), 2, "b", None).await.unwrap();
        assert_eq!(store.busy().await.unwrap().len(), 2);
        sqlx::query("update deployments set state = 'waiting'").execute(&store.pool).await.unwrap();
        assert_eq!(store.busy().await.unwrap(), [person]);
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
            slots: false,
            trigger: Trigger::Poll,
            who: Default::default(),
            overrides: vec![],
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
