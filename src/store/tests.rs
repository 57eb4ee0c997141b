use super::*;
use crate::model::journal::{Entry, Fact, Goal, Order};
use crate::model::outcome::Verdict;
use crate::model::trigger::Trigger;

fn order() -> Order {
    Order {
        goal: Goal::Revision(None),
        from: None,
        from_revision: None,
        revision: None,
        by: "olga".into(),
        force: false,
        trigger: Trigger::Person,
    }
}

async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("state.db")).await.unwrap();
    (folder, store)
}

fn ended(verdict: Verdict) -> Entry {
    Entry { at: 2, boot: "b".into(), fact: Fact::Ended { verdict, note: None } }
}

#[tokio::test]
async fn only_one_deployment_of_an_application_runs() {
    let (_folder, store) = store().await;
    let (app, other) = ("erp".parse().unwrap(), "shop".parse().unwrap());
    let first = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    assert!(matches!(store.accept(&app, "deploy", "main", order(), 1, "b", None).await, Err(StoreError::Busy)));
    let second = store.accept(&other, "deploy", "main", order(), 1, "b", None).await.unwrap();
    assert!(second > first);
    store.append(&app, first, 1, &ended(Verdict::Failed)).await.unwrap();
    assert!(store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap() > second);
}

#[tokio::test]
async fn what_was_appended_is_read_back_after_opening_again() {
    let (folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    store.append(&app, id, 1, &ended(Verdict::RolledBack)).await.unwrap();
    drop(store);
    let store = Store::open(&folder.path().join("state.db")).await.unwrap();
    let journal = store.journal(id).await.unwrap();
    assert_eq!(journal.order(), Some(&order()));
    assert_eq!(journal.verdict(), Some(Verdict::RolledBack));
    assert_eq!(store.history(None, 10).await.unwrap()[0].state, "rolled-back");
    assert!(store.open_deployments().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_history_knows_what_caused_a_deployment() {
    let (_folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let key = Trigger::ApiKey { name: "ci".parse().unwrap() };
    let id =
        store.accept(&app, "deploy", "main", Order { trigger: key.clone(), ..order() }, 1, "b", None).await.unwrap();
    assert_eq!(store.history(None, 10).await.unwrap()[0].trigger, key);
    assert_eq!(store.deployment(id).await.unwrap().unwrap().0.trigger, key);
    // What was accepted before there were triggers.
    sqlx::query("update journal set fact = json_remove(fact, '$.accepted.trigger')")
        .execute(&store.pool)
        .await
        .unwrap();
    assert_eq!(store.history(None, 10).await.unwrap()[0].trigger, Trigger::Person);
}

#[tokio::test]
async fn an_entry_is_never_written_over() {
    let (_folder, store) = store().await;
    let app = "erp".parse().unwrap();
    let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
    assert!(store.append(&app, id, 0, &ended(Verdict::Failed)).await.is_err());
    assert_eq!(store.journal(id).await.unwrap().0.len(), 1);
    assert_eq!(store.open_deployments().await.unwrap().len(), 1);
}

#[tokio::test]
async fn commits_are_synchronised_in_full() {
    let (_folder, store) = store().await;
    let level: i64 = sqlx::query_scalar("pragma synchronous").fetch_one(&store.pool).await.unwrap();
    assert_eq!(level, 2);
}
