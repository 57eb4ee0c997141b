//! Deployments as the core tells them, for the tests of all screens.

use jiff::tz::{TimeZone, offset};

use super::Look;
use crate::model::gates::{Hold, HoldKind};
use crate::model::going_back::{Outlook, RollbackView};
use crate::model::journal::{Cause, Pending};
use crate::model::lane::Lane;
use crate::model::names::{DeploymentId, ReleaseId, SchemaRevision, Sha};
use crate::model::outcome::Verdict;
use crate::model::plan::Live;
use crate::model::push::{PushState, PushView};
use crate::model::step::Step::{self, *};
use crate::model::trigger::{Forge, Trigger};
use crate::model::view::{
    AnswerNow, BackupsNow, DeploymentView, FailureView, HistoryRow, MaintenanceNow, RunView, StatusView, StepView,
    TimerNow, UnitView,
};

/// 2026-11-21 14:02:41 in `look`'s time zone.
pub(crate) const ASKED: i64 = 1_795_266_161_000;

pub(crate) fn look() -> Look {
    Look { width: 80, colour: false, now: ASKED + 3_600_000, zone: TimeZone::fixed(offset(1)) }
}

pub(crate) fn sha(start: &str) -> Sha {
    format!("{start:0<40}").parse().unwrap()
}

/// A deployment of release 42 after 41 with these steps: word of state, milliseconds, detail.
fn deployment(verdict: Option<Verdict>, lane: Option<Lane>, steps: &[(Step, &str, i64, &str)]) -> DeploymentView {
    let mut began = ASKED + 20;
    let steps: Vec<StepView> = steps
        .iter()
        .map(|(step, state, ms, detail)| {
            let took = (*state != "running").then_some(*ms);
            let (state, detail) = ((*state).into(), (*detail).into());
            let view = StepView { step: *step, state, began, took, detail, expected: None };
            began += ms;
            view
        })
        .collect();
    DeploymentView {
        id: DeploymentId(42),
        app: "tsh-erp".parse().unwrap(),
        state: verdict.map_or("running", Verdict::word).into(),
        verdict,
        kind: "deploy".into(),
        wanted: "main".into(),
        revision: Some(sha("3f2c1a9d")),
        subject: Some("Round the value added tax per line, as the law asks".into()),
        release: ReleaseId(42),
        from: Some(ReleaseId(41)),
        from_revision: Some(sha("91ab3e0d")),
        lane,
        pending: Vec::new(),
        rehearsal: None,
        window: None,
        by: "alice".into(),
        trigger: Trigger::Person,
        accepted: ASKED,
        ended: verdict.map(|_| began + 80),
        steps,
        failure: None,
        serving: "release 42 (3f2c1a9d) serves, verified".into(),
        felt: None,
        undone: Vec::new(),
        database: None,
        gates: Vec::new(),
        only_aside: Vec::new(),
        note: None,
        runs: Vec::new(),
        notices: Vec::new(),
    }
}

const MADE: [(Step, &str, i64, &str); 3] = [
    (Fetch, "done", 1_240, "3f2c1a9d Round the value added tax per line, as the law asks"),
    (Build, "done", 9_800, "46 packages with uv, from cache"),
    (Seal, "done", 410, "1,537 files, 184 MB"),
];

fn with_made(rest: &[(Step, &'static str, i64, &'static str)]) -> Vec<(Step, &'static str, i64, &'static str)> {
    MADE.iter().chain(rest).copied().collect()
}

pub(crate) fn code() -> DeploymentView {
    deployment(
        Some(Verdict::Deployed),
        Some(Lane::Code),
        &with_made(&[
            (Inspect, "done", 620, "no pending migrations"),
            (Stop, "done", 380, "tsh-erp.service"),
            (Switch, "done", 12, "current is release 42"),
            (Start, "done", 90, "tsh-erp.service"),
            (Probe, "done", 2_310, "healthy after 3 probes, 3f2c1a9d answers"),
            (Workers, "done", 140, "tsh-erp-worker.service, tsh-erp-nightly.timer"),
            (Bake, "done", 30_020, "30 probes, no restart"),
            (Settle, "done", 20, ""),
            (Prune, "done", 300, "release 37 deleted"),
        ]),
    )
}

pub(crate) fn fenced() -> DeploymentView {
    let mut view = deployment(
        Some(Verdict::Deployed),
        Some(Lane::Fenced),
        &with_made(&[
            (Inspect, "done", 620, "2 pending migrations"),
            (Backup, "done", 4_900, "214 MB, SHA-256 checked"),
            (Close, "done", 4, "nginx answers 503"),
            (Stop, "done", 1_380, "3 units"),
            (Fence, "done", 60, "1 session ended: psql of bob"),
            (Twin, "done", 2_400, "tsh_erp_before_42"),
            (Migrate, "done", 1_900, "now at b2c4e6f8"),
            (Switch, "done", 12, "current is release 42"),
            (Admit, "done", 30, ""),
            (Start, "done", 90, "tsh-erp.service"),
            (Probe, "done", 2_310, "healthy after 3 probes, 3f2c1a9d answers"),
            (Open, "done", 8, "closed for 8.2 s"),
            (Workers, "done", 140, "tsh-erp-worker.service, tsh-erp-nightly.timer"),
            (Bake, "done", 185_000, "180 probes, no restart"),
            (Settle, "done", 20, ""),
            (Prune, "failed", 300, "release 37 could not be deleted: permission denied"),
        ]),
    );
    view.pending = pending();
    view.database = Some("at b2c4e6f8; the twin tsh_erp_before_42 is kept until the next deployment".into());
    view
}

fn pending() -> Vec<Pending> {
    [("a1b3c5d7", "add invoice.currency", false), ("b2c4e6f8", "index invoice.customer concurrently", true)]
        .map(|(revision, title, nontransactional)| Pending {
            revision: revision.parse().unwrap(),
            title: title.into(),
            nontransactional,
        })
        .into()
}

pub(crate) fn rolled_back() -> DeploymentView {
    let mut view = deployment(
        Some(Verdict::RolledBack),
        Some(Lane::Code),
        &with_made(&[
            (Inspect, "done", 620, "no pending migrations"),
            (Stop, "done", 380, "tsh-erp.service"),
            (Switch, "done", 12, "current is release 42"),
            (Start, "done", 90, "tsh-erp.service"),
            (Probe, "void", 5_100, ""),
            (Probe, "failed", 30_010, "http://127.0.0.1:8000/health answered 503 for 30 s"),
            (Halt, "done", 410, "tsh-erp.service"),
            (Restore, "done", 90, "the schema is as it was"),
            (SwitchBack, "done", 11, "current is release 41"),
            (Return, "done", 85, "tsh-erp.service"),
            (Reprobe, "done", 2_200, "healthy after 3 probes, 91ab3e0d answers"),
            (ReturnWorkers, "done", 120, "tsh-erp-worker.service"),
        ]),
    );
    view.failure = Some(FailureView {
        step: Probe,
        cause: Cause {
            what: "http://127.0.0.1:8000/health answered 503 for 30 s, the last time with \
                   {\"detail\":\"redis is not reachable\"}"
                .into(),
            hint: Some("the new release asks for REDIS_URL, which tsh-erp.env does not have".into()),
            tail: [
                "INFO:     Started server process [4121]",
                "redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.",
            ]
            .map(String::from)
            .into(),
            unit: Some(("tsh-erp.service".into(), "0a1b".into())),
            killed: false,
        },
    });
    view.serving = "release 41 (91ab3e0d) serves, verified".into();
    view.undone = vec!["tsh-erp.service runs from release 41 again".into(), "the link points to release 41".into()];
    view.database = Some("unchanged: no migration was pending".into());
    view.runs = [("tsh-agent-probe@tsh-erp.service", "77aa"), ("tsh-erp.service", "0a1b"), ("tsh-erp.timer", "")]
        .map(|(unit, invocation)| RunView { unit: unit.into(), invocation: invocation.into() })
        .into();
    view
}

pub(crate) fn failed() -> DeploymentView {
    let mut view = deployment(
        Some(Verdict::Failed),
        None,
        &[MADE[0], (Build, "failed", 12_300, "uv: the lock file does not match pyproject.toml")],
    );
    view.failure = Some(FailureView {
        step: Build,
        cause: Cause {
            tail: vec!["error: The lockfile at `uv.lock` needs to be updated.".into()],
            ..Cause::new("uv: the lock file does not match pyproject.toml").hint("run `uv lock` and commit uv.lock")
        },
    });
    view.serving = "release 41 (91ab3e0d) serves, as before".into();
    view
}

pub(crate) fn needs_operator() -> DeploymentView {
    let mut view = deployment(
        Some(Verdict::NeedsOperator),
        Some(Lane::Fenced),
        &with_made(&[
            (Inspect, "done", 620, "1 pending migration"),
            (Close, "done", 4, "nginx answers 503"),
            (Migrate, "failed", 1_900, "duplicate key in invoice_number"),
            (Restore, "failed", 60, "no disk space left for the swap"),
            (Restore, "failed", 70, "tsh_erp_before_42 is not there"),
        ]),
    );
    view.failure =
        Some(FailureView { step: Migrate, cause: Cause::new("alembic: duplicate key value in invoice_number") });
    view.serving = "nothing: the door is closed, nginx answers 503".into();
    view.database = Some("half migrated; tsh_erp is fenced, and the backup of 14:02 is whole".into());
    view.note = Some("the rollback stopped at restore; nothing more is tried until a person says so".into());
    view
}

/// The same as [`code`], but a forge said so.
pub(crate) fn pushed() -> DeploymentView {
    let trigger = Trigger::Webhook {
        forge: Forge::Github,
        delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958".parse().ok(),
        sender: "alice".parse().ok(),
    };
    DeploymentView { by: trigger.by("tsh-agent-webhook"), trigger, ..code() }
}

pub(crate) fn running() -> DeploymentView {
    deployment(None, None, &[MADE[0], (Build, "running", 0, "")])
}

pub(crate) fn status() -> StatusView {
    let unit = |name: &str, restarts| UnitView {
        name: name.into(),
        state: "active".into(),
        since: Some(ASKED + 20_000),
        restarts,
        from_release: Some(true),
        role: if name.contains("worker") { "worker" } else { "web" }.into(),
        pid: 812,
    };
    StatusView {
        app: "tsh-erp".parse().unwrap(),
        release: Some(ReleaseId(42)),
        revision: Some(sha("3f2c1a9d")),
        verified: None,
        units: vec![unit("tsh-erp.service", 0), unit("tsh-erp-worker.service", 2)],
        door_closed: false,
        maintenance: None,
        schema: Some(Ok(vec!["b2c4e6f8".into()])),
        running: None,
        last: history().into_iter().next(),
        subject: Some("Round the value added tax per line, as the law asks".into()),
        live_since: Some(ASKED + 45_000),
        wanted_schema: vec!["b2c4e6f8".into()],
        drift: Vec::new(),
        backups: Some(BackupsNow { count: 9, newest: Some(ASKED - 39_000_000), proven: Some(ASKED - 125_400_000) }),
        timers: vec![
            TimerNow { name: "tsh-agent-backup@tsh-erp.timer".into(), next: Some(ASKED + 47_700_000) },
            TimerNow { name: "tsh-erp-nightly.timer".into(), next: None },
        ],
        answers: vec![AnswerNow { what: "GET http://127.0.0.1:8000/health".into(), problem: None }],
        pushes: Vec::new(),
        pinned: Vec::new(),
        held: Vec::new(),
    }
}

pub(crate) fn held() -> Vec<Hold> {
    let hold = |kind, until, reason: &str| {
        let (reason, by) = (reason.to_owned(), "olga".to_owned());
        Hold { kind, until, reason, by, at: ASKED }
    };
    vec![
        hold(HoldKind::Lock, None, "stocktaking"),
        hold(HoldKind::Freeze, Some(ASKED + 86_400_000), "nobody is here until Sunday"),
        hold(HoldKind::Pause, None, "deployment 41 of 77aa0011 was rolled back"),
    ]
}

pub(crate) fn status_pushed() -> StatusView {
    let push = |id, at, revision: &str| PushView {
        id,
        app: "tsh-erp".parse().unwrap(),
        at,
        trigger: pushed().trigger,
        by: pushed().by,
        revision: Some(sha(revision)),
        state: PushState::Waiting,
        note: "deployment 43 runs".into(),
        deployment: None,
    };
    StatusView {
        running: Some(DeploymentId(43)),
        pushes: vec![push(7, ASKED, "aa11"), push(8, ASKED + 60_000, "bb22")],
        ..status()
    }
}

pub(crate) fn status_closed() -> StatusView {
    let mut view = status();
    view.door_closed = true;
    view.verified = Some(ReleaseId(41));
    view.units[0].state = "failed".into();
    view.units[1].from_release = Some(false);
    view.schema = Some(Err("connection to server on socket \"/var/run/postgresql/.s.PGSQL.5432\" failed".into()));
    view.wanted_schema = vec!["a1b3c5d7".into()];
    view.backups = Some(BackupsNow { count: 0, newest: None, proven: None });
    view.drift = vec!["tsh-erp.env was changed after tsh-erp.service was started".into()];
    view.answers[0].problem = Some("GET http://127.0.0.1:8000/health: connection refused".into());
    view.last = Some(HistoryRow { state: "needs-operator".into(), ..history().remove(0) });
    view
}

pub(crate) fn status_in_maintenance() -> StatusView {
    let (by, reason) = (Some("olga".to_owned()), "the disk is exchanged".to_owned());
    let maintenance = MaintenanceNow { closed: true, by, reason, since: Some(ASKED + 3_000_000) };
    StatusView { maintenance: Some(maintenance), ..status() }
}

pub(crate) fn history() -> Vec<HistoryRow> {
    let row = |id: u32, kind: &str, state: &str, took: Option<i64>, by: &str, subject: &str| HistoryRow {
        id: DeploymentId(id),
        app: "tsh-erp".parse().unwrap(),
        kind: kind.into(),
        state: state.into(),
        revision: Some(sha("3f2c1a9d")),
        subject: Some(subject.into()),
        release: ReleaseId(id),
        by: by.into(),
        trigger: Trigger::Person,
        accepted: ASKED - i64::from(42 - id) * 86_400_000,
        ended: took.map(|took| ASKED - i64::from(42 - id) * 86_400_000 + took),
        pinned: id == 41,
    };
    vec![
        row(42, "deploy", "deployed", Some(45_000), "alice", "Round the value added tax per line, as the law asks"),
        row(41, "rollback", "rolled-back", Some(185_000), "bob", "Print two copies"),
        HistoryRow { revision: None, subject: None, ..row(40, "deploy", "failed", Some(900), "alice", "") },
    ]
}

/// Back over a migration that was proven.
pub(crate) fn rollback() -> RollbackView {
    let found = Outlook::Ahead("the schema is at 0003_note, which release 41 does not know".into());
    let schema: Vec<SchemaRevision> = vec!["0003_note".parse().unwrap()];
    RollbackView {
        app: "tsh-erp".parse().unwrap(),
        live: Some(Live { release: ReleaseId(42), revision: Some(sha("3f2c1a9d")), verified: true }),
        release: ReleaseId(41),
        revision: Some(sha("91ab3e0d")),
        case: found.case(),
        database: found.database(&schema),
        because: found.because().to_owned(),
        lost: found.lost().to_owned(),
        refused: None,
        open: None,
        schema: Ok(schema),
    }
}

/// With everything, and with a schema that cannot be read.
pub(crate) fn rollbacks() -> Vec<RollbackView> {
    let refused = Some(("the schema is ahead".into(), "mend forward".into()));
    let full = RollbackView { refused, open: Some(DeploymentId(43)), ..rollback() };
    vec![RollbackView { schema: Err("no connection".into()), ..full.clone() }, full]
}
