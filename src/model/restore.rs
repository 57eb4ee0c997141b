//! A restore before it is ordered: what would happen, for the person who decides.

use serde::{Deserialize, Serialize};

use super::backup::BackupRow;
use super::leaving::Leaving;
use super::names::{App, ReleaseId, SchemaRevision};

/// What a restore of one backup would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreView {
    /// The application.
    pub app: App,
    /// The backup.
    pub backup: BackupRow,
    /// The live database, whose place it would take.
    pub database: String,
    /// The release that would run on it.
    pub release: ReleaseId,
    /// Revisions of the schema in the backup.
    pub schema: Vec<SchemaRevision>,
    /// Revisions of the live schema, or why they cannot be read.
    pub live_schema: Result<Vec<SchemaRevision>, String>,
    /// Why it would be refused, and what to do about that.
    pub refused: Option<(String, String)>,
    /// What the live database has and the backup has not, and the other way round; or why that cannot be told.
    pub leaving: Result<Vec<Leaving>, String>,
    /// Free bytes where PostgreSQL keeps its data, as far as that is known.
    pub free: Option<u64>,
    /// Bytes that are needed there meanwhile.
    pub need: u64,
    /// Days for which the database that is live now is kept at least.
    pub keep_days: u32,
}
