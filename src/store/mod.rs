//! The state on disk: SQLite in WAL mode with full synchronisation, so that what is committed survives a power cut.
//! Nothing else knows SQL of the state.

mod adopted;
mod audit;
mod cares;
mod ended;
mod holds;
mod journal;
mod keys;
mod outbox;
mod pins;
mod pushes;
mod read;
mod schemas;

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::model::names::{App, DeploymentId, ReleaseId, Sha};

/// The state cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another deployment of the application runs.
    #[error("another deployment of the application runs")]
    Busy,
    /// Opening or upgrading failed.
    #[error("the state in {path} cannot be opened")]
    Open {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement failed.
    #[error("the state cannot be read or written")]
    Sql(#[from] sqlx::Error),
    /// An entry is not what this version of the agent writes.
    #[error("entry {seq} of deployment {deployment} cannot be understood")]
    Foreign {
        /// The deployment.
        deployment: DeploymentId,
        /// The entry.
        seq: i64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

pub use outbox::Due;

/// The state on disk.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

/// A release that was built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its number.
    pub id: ReleaseId,
    /// Its commit.
    pub revision: Sha,
    /// The commit's first line.
    pub subject: String,
}

impl Store {
    /// Opens the state in this file, and makes or upgrades it.
    ///
    /// # Errors
    /// If the file cannot be opened, or was written by a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // KiB, and statements. What is not in it is in the kernel's cache, where it is nobody's own memory.
            .pragma("cache_size", "-64")
            .statement_cache_capacity(16)
            .busy_timeout(Duration::from_secs(5));
        Self::connect(options, path).await
    }

    /// Opens the state for reading only; for the recovery at boot, which must not wait for a writer.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let failed = |source: sqlx::Error| StoreError::Open { path: path.display().to_string(), source: source.into() };
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(1));
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(failed)?;
        Ok(Self { pool })
    }

    async fn connect(options: SqliteConnectOptions, path: &Path) -> Result<Self, StoreError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
            path: path.display().to_string(),
            source,
        };
        // One connection: there is one writer, and a thread less.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|error| failed(error.into()))?;
        sqlx::migrate!("src/store/migrations").run(&pool).await.map_err(|error| failed(error.into()))?;
        // The file itself and its name must survive as well as what is in it.
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(error.into()))?;
        }
        Ok(Self { pool })
    }

    /// Records the release as the application's good one.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn settle(&self, app: &App, release: ReleaseId, by: DeploymentId) -> Result<(), StoreError> {
        sqlx::query("insert or replace into good (app, release, deployment) values (?, ?, ?)")
            .bind(app.as_str())
            .bind(release.0)
            .bind(by.0)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
