//! What is to be told outside about deployments, and how far that is.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};
use crate::model::names::{App, DeploymentId};
use crate::model::notice::{Delivery, Moment, NoticeView};
use crate::model::view::HistoryRow;

/// What was told stays on record for as long as it may be asked for, in milliseconds.
const KEPT: i64 = 90 * 86_400_000;

/// A moment that is not told to everybody yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Its number; a later moment has a larger one.
    pub id: i64,
    /// The application.
    pub app: App,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Which moment.
    pub moment: Moment,
    /// When it was, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// Who is told; empty until somebody has looked into the settings.
    pub deliveries: Vec<Delivery>,
}

/// Puts a moment into the outbox, in the transaction that makes it true.
pub(super) async fn put(
    transaction: &mut sqlx::SqliteTransaction<'_>,
    app: &App,
    id: DeploymentId,
    moment: Moment,
    at: i64,
) -> Result<(), StoreError> {
    sqlx::query("insert into outbox (app, deployment, moment, at) values (?, ?, ?, ?)")
        .bind(app.as_str())
        .bind(id.0)
        .bind(moment.word())
        .bind(at)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

impl Store {
    /// What is not told to everybody yet, oldest first.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn due(&self) -> Result<Vec<Due>, StoreError> {
        let rows =
            sqlx::query("select id, app, deployment, moment, at, deliveries from outbox where open = 1 order by id")
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(due).collect()
    }

    /// Writes how far it is; once nobody waits any more it is over, and what is old is forgotten.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn keep_due(&self, due: &Due, now: i64) -> Result<(), StoreError> {
        let text = serde_json::to_string(&due.deliveries).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let open = due.deliveries.iter().any(Delivery::is_waiting);
        sqlx::query("update outbox set deliveries = ?, open = ? where id = ?")
            .bind(text)
            .bind(open)
            .bind(due.id)
            .execute(&self.pool)
            .await?;
        sqlx::query("delete from outbox where open = 0 and at < ?").bind(now - KEPT).execute(&self.pool).await?;
        Ok(())
    }

    /// Who was told about a deployment, in the order of the moments.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn told(&self, id: DeploymentId) -> Result<Vec<NoticeView>, StoreError> {
        let rows = sqlx::query(
            "select id, app, deployment, moment, at, deliveries from outbox where deployment = ? order by id",
        )
        .bind(id.0)
        .fetch_all(&self.pool)
        .await?;
        let all: Vec<Due> = rows.iter().map(due).collect::<Result<_, _>>()?;
        let told = all.into_iter().filter(|due| !due.deliveries.is_empty());
        Ok(told.map(|due| NoticeView { moment: due.moment.word().to_owned(), deliveries: due.deliveries }).collect())
    }

    /// Deployments of an application that ended before this one, newest first, at most `limit`.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn ended_before(&self, app: &App, id: DeploymentId, limit: u32) -> Result<Vec<HistoryRow>, StoreError> {
        let rows = sqlx::query(
            "select id, app, kind, state, revision, subject, release, by, accepted, ended, \
             json_extract(fact, '$.accepted.trigger'), \
             exists (select 1 from pins where pins.app = deployments.app and pins.release = deployments.release) from deployments \
             left join journal on deployment = id and seq = 0 \
             where app = ? and id < ? and state <> 'running' order by id desc limit ?",
        )
        .bind(app.as_str())
        .bind(id.0)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().filter_map(super::read::history_row).collect())
    }
}

fn due(row: &SqliteRow) -> Result<Due, StoreError> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| StoreError::Sql(sqlx::Error::Decode(error));
    let moment: String = row.get(3);
    Ok(Due {
        id: row.get(0),
        app: row.get::<String, _>(1).parse().map_err(|bad: crate::model::names::BadName| decode(bad.into()))?,
        deployment: DeploymentId(row.get::<u32, _>(2)),
        moment: Moment::of(&moment).ok_or_else(|| decode(format!("moment {moment:?}").into()))?,
        at: row.get(4),
        deliveries: serde_json::from_str(row.get(5)).map_err(|error| decode(error.into()))?,
    })
}
