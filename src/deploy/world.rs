//! What the engine needs of the machine. The real one is in `host`; a simulated one enumerates crashes.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::gates::Standing;
use crate::model::journal::{Boot, Cause, Fact, Felt, Invocation, Journal, UnitWas};
use crate::model::lane::Lane;
use crate::model::leaving::Leaving;
use crate::model::names::{BackupName, DeploymentId, ReleaseId, SchemaRevision, Sha, UnitName};
use crate::model::request::{Report, Request};
use crate::model::slot::{Link, Slot, Told};

/// A unit of the application, now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitNow {
    /// Whether systemd knows it: it has a file and is not masked.
    pub known: bool,
    /// Whether it is up, and not waiting for a restart.
    pub up: bool,
    /// Its run.
    pub invocation: Invocation,
    /// Its main process; 0 if it has none.
    pub pid: u32,
    /// How often systemd restarted it by itself.
    pub restarts: u32,
    /// `ActiveState`, `SubState` and `Result`, as a person reads them.
    pub words: String,
    /// What the launcher says, where the unit is a slot.
    pub told: Option<Told>,
}

/// A unit of the application that must stay as it is while a step looks at the release.
#[derive(Debug, Clone, PartialEq)]
pub struct Vigil {
    /// The run that must go on.
    pub was: UnitWas,
    /// What the old release's slot said, against which errors of this one count.
    pub usual: Option<Told>,
}

/// A step unit, now.
#[derive(Debug, Clone, PartialEq)]
pub enum StepNow {
    /// It has no run, or none that counts.
    Idle,
    /// It runs.
    Running(Invocation),
    /// It ended, and this is its report; a missing one is a failure.
    Ended(Invocation, Box<Report>),
}

/// The journal could not be written, so nothing may happen any more; or the core is told to stop.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be written: {0}")]
pub struct Halted(pub String);

/// Why a deployment that waited for its gates goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Woken {
    /// It is time, or somebody did something: look again.
    Look,
    /// A newer order came, from this one.
    Superseded(String),
}

/// Something the machine was asked to do, and did not.
pub type Act<T> = Result<T, Cause>;

/// The machine, as the engine sees it, for one application and one deployment.
#[expect(async_fn_in_trait, reason = "used with concrete types only")]
pub trait World {
    /// Appends to the journal; durable when it returns.
    async fn append(&mut self, fact: Fact) -> Result<(), Halted>;
    /// The current boot.
    fn boot(&self) -> Boot;
    /// Now, in milliseconds since 1970 (UTC).
    fn now(&self) -> i64;
    /// Who asked to abort since the last call, if anybody.
    fn abort_asked(&mut self) -> Option<String>;
    /// Rests until this moment, or until somebody does what a gate may wait for, aborts, or orders something newer.
    async fn rest(&mut self, until: Option<i64>) -> Woken;
    /// What holds for this application: locks, freezes, what failed here, what was said about this deployment.
    async fn standing(&mut self) -> Act<Standing>;
    /// The digest of the settings as they are on disk now.
    async fn configuration(&mut self) -> Act<String>;
    /// Waits before a failed step of a rollback is tried again.
    async fn pause(&mut self, attempt: usize);

    /// The journal of the deployment that built this release; empty if there was none.
    async fn journal_of(&mut self, release: ReleaseId) -> Act<Journal>;
    /// What the manifest of a sealed release says of these files and folders of it, but for compiled Python.
    async fn sealed(&mut self, release: ReleaseId, places: &[PathBuf]) -> Act<Vec<String>>;

    /// Makes sure that nothing of a step unit runs, and tells its last run, which does not count from now on.
    async fn clear_step(&mut self, kind: &str) -> Act<Invocation>;
    /// Writes the request and starts the step unit anew, without waiting.
    async fn begin_step(&mut self, kind: &str, request: &Request) -> Act<()>;
    /// What a step unit is doing; `before` is a run that does not count.
    async fn look_step(&mut self, kind: &str, before: &Invocation) -> Act<StepNow>;
    /// Waits until the step unit has ended, or one of these units of the application is no longer as it was; in that
    /// case, or when an abort is asked, the step unit is stopped.
    async fn finish_step(&mut self, kind: &str, before: &Invocation, watched: &[Vigil]) -> Act<Report>;

    /// Begins to measure what users feel. Without it a deployment goes on as well, and tells less.
    async fn begin_gauge(&mut self, id: DeploymentId);
    /// Ends it; what came of it, if it ran.
    async fn end_gauge(&mut self) -> Option<Felt>;

    /// A unit of the application.
    async fn unit(&mut self, name: &UnitName) -> Act<UnitNow>;
    /// Starts a unit and waits for the job.
    async fn start_unit(&mut self, name: &UnitName) -> Act<()>;
    /// Stops a unit and waits until it is down.
    async fn stop_unit(&mut self, name: &UnitName) -> Act<()>;

    /// The slot that accepts requests in this boot; the first one unless another was chosen.
    async fn serving_slot(&mut self) -> Act<Slot>;
    /// Chooses the slot that accepts; `None`: neither, and what is started waits before it looks at its release.
    async fn set_serving(&mut self, slot: Option<Slot>) -> Act<()>;
    /// Waits until the unit accepts requests.
    async fn accepting(&mut self, name: &UnitName) -> Act<()>;
    /// Waits until the unit has finished what it had accepted; tells what is open after this time.
    async fn drained(&mut self, name: &UnitName, within: Duration) -> Act<u64>;

    /// The release a link points to.
    async fn link(&mut self, link: Link) -> Act<Option<ReleaseId>>;
    /// Points a link, durably; `None` removes it.
    async fn point(&mut self, link: Link, to: Option<ReleaseId>) -> Act<()>;
    /// Whether a sealed release is there.
    async fn has_release(&mut self, id: ReleaseId) -> Act<bool>;
    /// Whether the door is closed.
    async fn door_closed(&mut self) -> Act<bool>;
    /// Closes or opens the door, durably.
    async fn set_door(&mut self, closed: bool) -> Act<()>;
    /// Free space of the file systems that a deployment fills, in bytes.
    async fn space(&mut self) -> Act<Vec<(PathBuf, u64)>>;

    /// Records the release as the good one and tells which releases must be kept.
    async fn settle(&mut self, release: ReleaseId) -> Act<()>;
    /// Releases that must be kept.
    async fn kept(&mut self) -> Act<Vec<ReleaseId>>;

    /// Whether a rehearsal has proven that this commit lives on this schema.
    async fn proven_on(&mut self, revision: &Sha, schema: &[SchemaRevision]) -> Act<bool>;
    /// The newest proven backup that shows this schema; an error if there is none that is young enough.
    async fn proven_backup(&mut self, schema: &[SchemaRevision]) -> Act<BackupName>;
    /// Journals of the last deployments of the application that have ended, the newest first.
    async fn earlier(&mut self) -> Act<Vec<Journal>>;
    /// Whether PostgreSQL's files have room to grow by so many bytes, and for so many more files as a copy needs.
    async fn room(&mut self, bytes: u64) -> Act<()>;
    /// Whether the database can be migrated in this lane, as far as that is known before.
    async fn preflight(&mut self, lane: Lane) -> Act<()>;

    /// The revisions the live database is at.
    async fn schema(&mut self) -> Act<Vec<SchemaRevision>>;
    /// The fingerprint of its schema.
    async fn fingerprint(&mut self) -> Act<String>;
    /// Its access list.
    async fn access(&mut self) -> Act<Option<String>>;
    /// Closes it to all but the migration; tells the sessions that were ended.
    async fn fence(&mut self) -> Act<Vec<String>>;
    /// Lets the application's own role in again.
    async fn admit(&mut self) -> Act<()>;
    /// Restores the access list.
    async fn unfence(&mut self, original: Option<&str>) -> Act<()>;
    /// This moment of the server, as a snapshot tells it.
    async fn moment(&mut self) -> Act<String>;
    /// Makes the twin; `again` tells that an earlier attempt may have made it.
    async fn twin(&mut self, again: bool) -> Act<()>;
    /// Ends whatever a migration left running.
    async fn settle_migration(&mut self) -> Act<()>;
    /// Whether the quarantine of this deployment exists: the swap has happened.
    async fn has_quarantine(&mut self) -> Act<bool>;
    /// Makes the twin the live database, and keeps the failed one as the quarantine. It comes out fenced.
    async fn swap_back(&mut self, original: Option<&str>) -> Act<()>;
    /// Drops the twin, which was never live.
    async fn drop_twin(&mut self) -> Act<()>;
    /// Makes the empty database for this backup beside the live one, in place of one that an earlier attempt left.
    async fn make_room(&mut self, backup: &BackupName) -> Act<()>;
    /// Drops the restored database, which was never live.
    async fn drop_restored(&mut self) -> Act<()>;
    /// Makes the restored database the live one, and keeps the live one as the quarantine. It comes out fenced.
    async fn swap_in(&mut self, original: Option<&str>) -> Act<()>;
    /// Takes that back: the quarantine becomes the live one again.
    async fn swap_out(&mut self, original: Option<&str>) -> Act<()>;
    /// Counts what only the quarantine of this deployment has: its rows that `snapshot` does not see, and what the
    /// backup knows of each table, if one was restored.
    async fn count_aside(&mut self, snapshot: Option<&str>, backup: Option<&BackupName>) -> Act<Vec<Leaving>>;
    /// Drops twins and quarantines of earlier deployments that nobody needs any more.
    async fn forget_old_databases(&mut self) -> Act<()>;
}
