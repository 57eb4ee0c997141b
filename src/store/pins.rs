//! Releases that are kept until somebody says otherwise.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, audit, holds};
use crate::model::audit::Record;
use crate::model::names::{App, ReleaseId};
use crate::model::pin::Pin;

impl Store {
    /// Keeps a release, in the place of an earlier pin of it.
    ///
    /// # Errors
    /// `Busy` while a deployment deletes releases: what it deletes was decided before. Otherwise if the state cannot be
    /// written; nothing was.
    pub async fn pin(&self, app: &App, pin: &Pin, record: &Record) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        // The step asks for the pins after its intent is written, so before that none comes too late.
        let pruning = sqlx::query(
            "select 1 from journal join deployments on deployments.id = deployment \
             where app = ? and state = 'running' and json_extract(fact, '$.intent.step') = 'prune'",
        )
        .bind(app.as_str())
        .fetch_optional(&mut *transaction)
        .await?;
        if pruning.is_some() {
            return Err(StoreError::Busy);
        }
        sqlx::query("insert or replace into pins (app, release, reason, by, at) values (?, ?, ?, ?, ?)")
            .bind(app.as_str())
            .bind(pin.release.0)
            .bind(&pin.reason)
            .bind(&pin.by)
            .bind(pin.at)
            .execute(&mut *transaction)
            .await?;
        audit::append(&mut transaction, record).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes a pin away; whether there was one.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn unpin(&self, app: &App, release: ReleaseId, record: &Record) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query("delete from pins where app = ? and release = ?")
            .bind(app.as_str())
            .bind(release.0)
            .execute(&mut *transaction)
            .await?;
        holds::noted(transaction, done.rows_affected(), record).await
    }

    /// The pins of an application, by release.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn pins(&self, app: &App) -> Result<Vec<Pin>, StoreError> {
        let rows = sqlx::query("select release, reason, by, at from pins where app = ? order by release")
            .bind(app.as_str())
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(pin).collect())
    }
}

fn pin(row: &SqliteRow) -> Pin {
    Pin { release: ReleaseId(row.get(0)), reason: row.get(1), by: row.get(2), at: row.get(3) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::audit::Who;
    use crate::model::journal::{Before, Entry, Fact, Goal, Order};
    use crate::model::outcome::Verdict;
    use crate::model::step::Step;
    use crate::model::trigger::Trigger;

    fn record(what: &str) -> Record {
        let (app, who) = ("erp".parse().unwrap(), Who::default());
        Record { at: 1, app, deployment: None, by: "olga".into(), who, what: what.into(), detail: String::new() }
    }

    fn pin(release: u32, reason: &str) -> Pin {
        Pin { release: ReleaseId(release), reason: reason.into(), by: "olga".into(), at: 7 }
    }

    fn order() -> Order {
        Order {
            goal: Goal::Revision(None),
            from: None,
            from_revision: None,
            revision: None,
            by: "olga".into(),
            force: false,
            slots: false,
            overrides: vec![],
            who: Who::default(),
            trigger: Trigger::Person,
        }
    }

    #[tokio::test]
    async fn a_pin_outlives_the_core_and_each_change_is_in_the_audit() {
        let folder = tempfile::tempdir().unwrap();
        let (path, app) = (folder.path().join("state.db"), "erp".parse().unwrap());
        let store = Store::open(&path).await.unwrap();
        store.pin(&app, &pin(41, "before the stocktaking"), &record("pin")).await.unwrap();
        store.pin(&app, &pin(39, ""), &record("pin")).await.unwrap();
        drop(store);
        let store = Store::open(&path).await.unwrap();
        assert_eq!(store.pins(&app).await.unwrap(), [pin(39, ""), pin(41, "before the stocktaking")]);
        assert_eq!(store.pins(&"shop".parse().unwrap()).await.unwrap(), []);
        assert!(store.unpin(&app, ReleaseId(39), &record("unpin")).await.unwrap());
        assert!(!store.unpin(&app, ReleaseId(39), &record("unpin")).await.unwrap(), "there is none any more");
        assert_eq!(store.pins(&app).await.unwrap(), [pin(41, "before the stocktaking")]);
        let told = store.audit(Some(&app), 10).await.unwrap();
        let told: Vec<String> =
            told.iter().map(|entry| serde_json::from_str::<Record>(&entry.record).unwrap().what).collect();
        assert_eq!(told, ["pin", "pin", "unpin"]);
    }

    #[tokio::test]
    async fn none_comes_between_the_choice_of_what_is_deleted_and_the_deletion() {
        let folder = tempfile::tempdir().unwrap();
        let app = "erp".parse().unwrap();
        let store = Store::open(&folder.path().join("state.db")).await.unwrap();
        let id = store.accept(&app, "deploy", "main", order(), 1, "b", None).await.unwrap();
        store.pin(&app, &pin(1, ""), &record("pin")).await.unwrap();
        let entry = |fact| Entry { at: 2, boot: "b".into(), fact };
        let intent = Fact::Intent { step: Step::Prune, before: Before::Unit(String::new()) };
        store.append(&app, id, 1, &entry(intent)).await.unwrap();
        assert!(matches!(store.pin(&app, &pin(2, ""), &record("pin")).await, Err(StoreError::Busy)));
        assert_eq!(store.pins(&app).await.unwrap().len(), 1);
        assert_eq!(store.audit(Some(&app), 10).await.unwrap().len(), 2, "nothing is told that did not happen");
        let end = Fact::Ended { verdict: Verdict::Deployed, note: None };
        store.append(&app, id, 2, &entry(end)).await.unwrap();
        store.pin(&app, &pin(2, ""), &record("pin")).await.unwrap();
    }
}
