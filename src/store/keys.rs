//! Keys of programs. A key itself is nowhere, only its SHA-256.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};
use crate::model::key::{Allow, KeyView};
use crate::model::names::KeyName;

impl Store {
    /// Adds a key; whether its name was free.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn add_key(&self, key: &KeyView, hash: &str) -> Result<bool, StoreError> {
        let verbs: Vec<&str> = key.allow.iter().map(|allow| allow.word()).collect();
        let inserted = sqlx::query(
            "insert into keys (name, hash, app, verbs, created) values (?, ?, ?, ?, ?) on conflict (name) do nothing",
        )
        .bind(key.name.as_str())
        .bind(hash)
        .bind(key.app.as_str())
        .bind(verbs.join(","))
        .bind(key.created)
        .execute(&self.pool)
        .await?;
        Ok(inserted.rows_affected() == 1)
    }

    /// All keys with their hashes, by name.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn keys(&self) -> Result<Vec<(KeyView, String)>, StoreError> {
        let rows = sqlx::query("select name, app, verbs, created, used, hash from keys order by name")
            .fetch_all(&self.pool)
            .await?;
        // One that this version does not understand opens nothing.
        Ok(rows.iter().filter_map(|row| Some((view(row)?, row.get(5)))).collect())
    }

    /// Notes that a key was used.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn use_key(&self, name: &KeyName, at: i64) -> Result<(), StoreError> {
        sqlx::query("update keys set used = ? where name = ?").bind(at).bind(name.as_str()).execute(&self.pool).await?;
        Ok(())
    }

    /// Removes a key; whether there was one.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn remove_key(&self, name: &KeyName) -> Result<bool, StoreError> {
        let done = sqlx::query("delete from keys where name = ?").bind(name.as_str()).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }
}

fn view(row: &SqliteRow) -> Option<KeyView> {
    let verbs: String = row.get(2);
    Some(KeyView {
        name: row.get::<String, _>(0).parse().ok()?,
        app: row.get::<String, _>(1).parse().ok()?,
        allow: verbs.split(',').map(str::parse).collect::<Result<Vec<Allow>, _>>().ok()?,
        created: row.get(3),
        used: row.get(4),
    })
}
