//! What the interface shows: the same values become text for people and JSON for programs.

use serde::{Deserialize, Serialize};

use super::gates::{Answer, Hold};
use super::journal::{Cause, Felt, Invocation, Pending};
use super::lane::Lane;
use super::leaving::Leaving;
use super::names::{App, DeploymentId, ReleaseId, Sha};
use super::outcome::Verdict;
use super::pin::Pin;
use super::push::PushView;
use super::rehearsal::Rehearsal;
use super::step::Step;
use super::trigger::Trigger;

/// One deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentView {
    /// Its number.
    pub id: DeploymentId,
    /// The application.
    pub app: App,
    /// "running", "waiting" for a gate, or the word of the verdict.
    pub state: String,
    /// How it ended, if it has.
    pub verdict: Option<Verdict>,
    /// "deploy", "rollback" or "restore".
    pub kind: String,
    /// What was asked for, as a person reads it.
    pub wanted: String,
    /// The commit, once it is known.
    pub revision: Option<Sha>,
    /// Its first line.
    pub subject: Option<String>,
    /// The release it makes live.
    pub release: ReleaseId,
    /// The release that was live before.
    pub from: Option<ReleaseId>,
    /// Its revision.
    pub from_revision: Option<Sha>,
    /// The lane, once it is chosen.
    pub lane: Option<Lane>,
    /// Migrations that were pending.
    pub pending: Vec<Pending>,
    /// What the rehearsal found, where there was one.
    #[serde(default)]
    pub rehearsal: Option<Rehearsal>,
    /// How long production stood still, in milliseconds: as long as the door was closed.
    #[serde(default)]
    pub window: Option<u64>,
    /// Who asked.
    pub by: String,
    /// What caused it.
    #[serde(default)]
    pub trigger: Trigger,
    /// When it was accepted, in milliseconds since 1970 (UTC).
    pub accepted: i64,
    /// When it ended, likewise.
    pub ended: Option<i64>,
    /// The steps so far, in the order in which they began.
    pub steps: Vec<StepView>,
    /// What made it fail: the step and its cause.
    pub failure: Option<FailureView>,
    /// What is live now, in one sentence.
    pub serving: String,
    /// What users felt meanwhile, if it was measured.
    #[serde(default)]
    pub felt: Option<Felt>,
    /// What was undone, in words.
    pub undone: Vec<String>,
    /// The state of the database, in one sentence, where the deployment had to do with it.
    pub database: Option<String>,
    /// What the gates answered last.
    #[serde(default)]
    pub gates: Vec<Answer>,
    /// What only the database has that was kept aside, once that is counted.
    #[serde(default)]
    pub only_aside: Vec<Leaving>,
    /// More to say about the end.
    pub note: Option<String>,
    /// Runs of units that belong to it, for the journal: of the steps, and of the application as it started it.
    pub runs: Vec<RunView>,
    /// Who was told about it.
    #[serde(default)]
    pub notices: Vec<super::notice::NoticeView>,
}

/// One run of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// The unit.
    pub unit: String,
    /// systemd's id of the run.
    pub invocation: Invocation,
}

/// One attempt at a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    /// Which step.
    pub step: Step,
    /// "running", "waiting", "refused", "done", "failed" or "void".
    pub state: String,
    /// When it began, in milliseconds since 1970 (UTC).
    pub began: i64,
    /// How long it took, in milliseconds, once it has ended.
    pub took: Option<i64>,
    /// What came of it, in a few words; while it runs, how far it is, where that has a size.
    pub detail: String,
    /// How long it takes as a rule, in milliseconds, where earlier deployments tell; only while it runs.
    #[serde(default)]
    pub expected: Option<i64>,
}

/// What made a deployment fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureView {
    /// The step.
    pub step: Step,
    /// Why.
    pub cause: Cause,
}

/// What every gate answers now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatesView {
    /// The application.
    pub app: App,
    /// The deployment that they answer to; `None`: to a person who would deploy now.
    pub deployment: Option<DeploymentId>,
    /// The revision it is about, where it is known.
    pub revision: Option<Sha>,
    /// When they were asked, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// Their answers.
    pub answers: Vec<Answer>,
}

/// One application now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusView {
    /// The application.
    pub app: App,
    /// The release the link points to.
    pub release: Option<ReleaseId>,
    /// Its revision.
    pub revision: Option<Sha>,
    /// The release that was last verified, if that is another one.
    pub verified: Option<ReleaseId>,
    /// Its units.
    pub units: Vec<UnitView>,
    /// Whether nginx answers 503, because a deployment closed the door.
    pub door_closed: bool,
    /// Whether nginx answers 503, because a person wants it to.
    #[serde(default)]
    pub maintenance: Option<MaintenanceNow>,
    /// Revisions of the live database, or why they cannot be read.
    pub schema: Option<Result<Vec<String>, String>>,
    /// The deployment that runs now.
    pub running: Option<DeploymentId>,
    /// The last one that ended.
    pub last: Option<HistoryRow>,
    /// The first line of the live commit.
    #[serde(default)]
    pub subject: Option<String>,
    /// When the live release was verified, in milliseconds since 1970 (UTC).
    #[serde(default)]
    pub live_since: Option<i64>,
    /// The schema's revisions that the live release was verified on.
    #[serde(default)]
    pub wanted_schema: Vec<String>,
    /// What was changed beside a deployment, a sentence each.
    #[serde(default)]
    pub drift: Vec<String>,
    /// The backups, where there is a database.
    #[serde(default)]
    pub backups: Option<BackupsNow>,
    /// What starts by the clock next.
    #[serde(default)]
    pub timers: Vec<TimerNow>,
    /// What the application itself answers; asked by the client, for the core has no network.
    #[serde(default)]
    pub answers: Vec<AnswerNow>,
    /// Pushes whose turn has not come, oldest first.
    #[serde(default)]
    pub pushes: Vec<PushView>,
    /// Releases that are kept until somebody says otherwise.
    #[serde(default)]
    pub pinned: Vec<Pin>,
    /// A lock, a freeze, a pause: what holds deployments back because somebody, or a failure, put it there.
    #[serde(default)]
    pub held: Vec<Hold>,
}

/// People are kept out, or are meant to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceNow {
    /// Whether nginx finds the file that makes it answer 503.
    pub closed: bool,
    /// Who ordered it; `None`: nobody has, the file was put there by hand.
    pub by: Option<String>,
    /// Why; may be empty.
    pub reason: String,
    /// Since when, in milliseconds since 1970 (UTC).
    pub since: Option<i64>,
}

/// The backups in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupsNow {
    /// How many there are.
    pub count: usize,
    /// When the newest was taken, in milliseconds since 1970 (UTC).
    pub newest: Option<i64>,
    /// When the newest that is proven was taken, likewise.
    pub proven: Option<i64>,
}

/// A timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerNow {
    /// Its unit.
    pub name: String,
    /// When it fires next, in milliseconds since 1970 (UTC).
    pub next: Option<i64>,
}

/// The answer to one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerNow {
    /// What was asked.
    pub what: String,
    /// Why the answer is not as it should be.
    pub problem: Option<String>,
}

/// One unit now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitView {
    /// Its name.
    pub name: String,
    /// systemd's `ActiveState`, or "missing".
    pub state: String,
    /// Since when, in milliseconds since 1970 (UTC).
    pub since: Option<i64>,
    /// How often systemd restarted it by itself.
    pub restarts: u32,
    /// Whether its main process runs from the release the link points to; known to who may look into its processes.
    pub from_release: Option<bool>,
    /// "web", "worker" or "timer".
    #[serde(default)]
    pub role: String,
    /// Its main process; 0 if it has none.
    #[serde(default)]
    pub pid: u32,
}

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Its number.
    pub id: DeploymentId,
    /// The application.
    pub app: App,
    /// "deploy", "rollback" or "restore".
    pub kind: String,
    /// "running", "waiting" for a gate, or the word of the verdict.
    pub state: String,
    /// The commit, if it became known.
    pub revision: Option<Sha>,
    /// Its first line.
    pub subject: Option<String>,
    /// The release.
    pub release: ReleaseId,
    /// Who asked.
    pub by: String,
    /// What caused it.
    #[serde(default)]
    pub trigger: Trigger,
    /// When it was accepted, in milliseconds since 1970 (UTC).
    pub accepted: i64,
    /// When it ended, likewise.
    pub ended: Option<i64>,
    /// Whether its release is kept until somebody says otherwise.
    #[serde(default)]
    pub pinned: bool,
}
