//! What is done about backups outside of deployments.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};
use crate::model::care::{Care, CareView};
use crate::model::names::App;

impl Store {
    /// Accepts a care; its number.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another one runs for this application; or if the state cannot be written.
    pub async fn begin_care(&self, app: &App, care: &Care, at: i64) -> Result<u32, StoreError> {
        let inserted = sqlx::query("insert into cares (app, asked, state, record) values (?, ?, ?, ?)")
            .bind(app.as_str())
            .bind(at)
            .bind(care.state())
            .bind(text(care)?)
            .execute(&self.pool)
            .await;
        match inserted {
            Ok(done) => Ok(u32::try_from(done.last_insert_rowid()).unwrap_or(u32::MAX)),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(StoreError::Busy),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes how far a care is.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn keep_care(&self, id: u32, care: &Care) -> Result<(), StoreError> {
        sqlx::query("update cares set state = ?, record = ? where id = ?")
            .bind(care.state())
            .bind(text(care)?)
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// One care.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn care(&self, id: u32) -> Result<Option<CareView>, StoreError> {
        let row = sqlx::query("select id, app, asked, state, record from cares where id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| view(&row)).transpose()
    }

    /// Those that have not ended.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn open_cares(&self) -> Result<Vec<CareView>, StoreError> {
        let rows = sqlx::query("select id, app, asked, state, record from cares where state = 'running' order by id")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(view).collect()
    }
}

fn text(care: &Care) -> Result<String, StoreError> {
    serde_json::to_string(care).map_err(|error| StoreError::Sql(sqlx::Error::Encode(error.into())))
}

fn view(row: &SqliteRow) -> Result<CareView, StoreError> {
    let decode = |error: Box<dyn std::error::Error + Send + Sync>| StoreError::Sql(sqlx::Error::Decode(error));
    Ok(CareView {
        id: row.get(0),
        app: row.get::<String, _>(1).parse().map_err(|bad: crate::model::names::BadName| decode(bad.into()))?,
        asked: row.get(2),
        state: row.get(3),
        care: serde_json::from_str(row.get(4)).map_err(|error| decode(error.into()))?,
    })
}
