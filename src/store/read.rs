//! Reading: journals, history, releases.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Built, Store, StoreError};
use crate::model::journal::{Entry, Journal};
use crate::model::names::{App, DeploymentId, ReleaseId, Sha};
use crate::model::trigger::Trigger;
use crate::model::view::HistoryRow;

/// How many deployments tell what the next one will be like.
const EARLIER: u32 = 20;

impl Store {
    /// The journal of a deployment; empty if there is no such deployment.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn journal(&self, id: DeploymentId) -> Result<Journal, StoreError> {
        let rows = sqlx::query("select seq, at, boot, fact from journal where deployment = ? order by seq")
            .bind(id.0)
            .fetch_all(&self.pool)
            .await?;
        let entry = |row: SqliteRow| -> Result<Entry, StoreError> {
            let seq: i64 = row.get(0);
            let fact: String = row.get(3);
            let fact =
                serde_json::from_str(&fact).map_err(|source| StoreError::Foreign { deployment: id, seq, source })?;
            Ok(Entry { at: row.get(1), boot: row.get(2), fact })
        };
        Ok(Journal(rows.into_iter().map(entry).collect::<Result<_, _>>()?))
    }

    /// The journals of the application's last deployments, the newest first.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn earlier(&self, app: &App) -> Result<Vec<(DeploymentId, Journal)>, StoreError> {
        let mut journals = Vec::new();
        for row in self.history(Some(app), EARLIER).await? {
            journals.push((row.id, self.journal(row.id).await?));
        }
        Ok(journals)
    }

    /// Deployments that have not ended, with their applications.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn open_deployments(&self) -> Result<Vec<(App, DeploymentId)>, StoreError> {
        let rows = sqlx::query("select app, id from deployments where state in ('running', 'waiting') order by id")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some((row.get::<String, _>(0).parse().ok()?, DeploymentId(row.get::<u32, _>(1)))))
            .collect())
    }

    /// Applications with a deployment that runs, and does not only wait for its gates.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn busy(&self) -> Result<Vec<App>, StoreError> {
        let rows = sqlx::query(
            "select app from deployments join journal on deployment = id and seq = 0 where state = 'running' or \
             (state = 'waiting' and coalesce(json_extract(fact, '$.accepted.trigger.kind'), 'person') = 'person')",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().filter_map(|row| row.get::<String, _>(0).parse().ok()).collect())
    }

    /// The last deployments, newest first.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn history(&self, app: Option<&App>, limit: u32) -> Result<Vec<HistoryRow>, StoreError> {
        let rows = sqlx::query(
            "select id, app, kind, state, revision, subject, release, by, accepted, ended, \
             json_extract(fact, '$.accepted.trigger'), \
             exists (select 1 from pins where pins.app = deployments.app and pins.release = deployments.release) from deployments \
             left join journal on deployment = id and seq = 0 \
             where ?1 is null or app = ?1 order by id desc limit ?2",
        )
        .bind(app.map(|app| app.as_str().to_owned()))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().filter_map(history_row).collect())
    }

    /// One deployment.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<(HistoryRow, String)>, StoreError> {
        let row = sqlx::query(
            "select id, app, kind, state, revision, subject, release, by, accepted, ended, \
             json_extract(fact, '$.accepted.trigger'), \
             exists (select 1 from pins where pins.app = deployments.app and pins.release = deployments.release), wanted from deployments \
             left join journal on deployment = id and seq = 0 where id = ?",
        )
        .bind(id.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.and_then(|row| Some((history_row(&row)?, row.get::<String, _>(12)))))
    }

    /// The application's good release.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn good(&self, app: &App) -> Result<Option<ReleaseId>, StoreError> {
        let row =
            sqlx::query("select release from good where app = ?").bind(app.as_str()).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| ReleaseId(row.get::<u32, _>(0))))
    }

    /// What is known of a release.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn built(&self, id: ReleaseId) -> Result<Option<Built>, StoreError> {
        let row = sqlx::query("select revision, subject from releases where id = ?")
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.and_then(|row| {
            let revision: Sha = row.get::<String, _>(0).parse().ok()?;
            Some(Built { id, revision, subject: row.get(1) })
        }))
    }

    /// The releases of this commit that were built here, the newest first; they need not be kept.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn releases_of(&self, app: &App, revision: &Sha) -> Result<Vec<ReleaseId>, StoreError> {
        let rows = sqlx::query("select id from releases where app = ? and revision = ? order by id desc")
            .bind(app.as_str())
            .bind(revision.as_str())
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(|row| ReleaseId(row.get::<u32, _>(0))).collect())
    }

    /// The last deployment that made this release live, and when it ended.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn made_live(&self, app: &App, release: ReleaseId) -> Result<Option<(DeploymentId, i64)>, StoreError> {
        let row = sqlx::query(
            "select id, ended from deployments where app = ? and release = ? and state = 'deployed' \
             order by id desc limit 1",
        )
        .bind(app.as_str())
        .bind(release.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| (DeploymentId(row.get::<u32, _>(0)), row.get(1))))
    }

    /// The journals of the last deployments that made a new release live, newest first.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn good_journals(&self, app: &App, limit: u32) -> Result<Vec<Journal>, StoreError> {
        let rows = sqlx::query(
            "select id from deployments where app = ? and state = 'deployed' and kind = 'deploy' and id = release \
             and id in (select id from releases) order by id desc limit ?",
        )
        .bind(app.as_str())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let mut journals = Vec::new();
        for row in rows {
            journals.push(self.journal(DeploymentId(row.get::<u32, _>(0))).await?);
        }
        Ok(journals)
    }

    /// Releases that were live once, each named once, the last one first.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn once_live(&self, app: &App) -> Result<Vec<ReleaseId>, StoreError> {
        let rows = sqlx::query(
            "select release, max(id) as last from deployments where app = ? and state = 'deployed' \
             group by release order by last desc",
        )
        .bind(app.as_str())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(|row| ReleaseId(row.get::<u32, _>(0))).collect())
    }
}

pub(super) fn history_row(row: &SqliteRow) -> Option<HistoryRow> {
    Some(HistoryRow {
        id: DeploymentId(row.get::<u32, _>(0)),
        app: row.get::<String, _>(1).parse().ok()?,
        kind: row.get(2),
        state: row.get(3),
        revision: row.get::<Option<String>, _>(4).and_then(|text| text.parse().ok()),
        subject: row.get(5),
        release: ReleaseId(row.get::<u32, _>(6)),
        by: row.get(7),
        // An entry of an older version has none.
        trigger: row
            .get::<Option<String>, _>(10)
            .map_or(Some(Trigger::Person), |text| serde_json::from_str(&text).ok())?,
        accepted: row.get(8),
        ended: row.get(9),
        pinned: row.get(11),
    })
}
