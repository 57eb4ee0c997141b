use insta::assert_snapshot;

use super::super::fixtures::{ASKED, look, sha};
use super::*;
use crate::model::gates::{Answer, Gate};
use crate::model::lane::Lane;
use crate::model::names::{DeploymentId, ReleaseId};
use crate::model::plan::{self, Commit, Live};

fn commit(start: &str, subject: &str, author: &str) -> Commit {
    Commit { revision: sha(start), subject: subject.into(), author: author.into(), at: ASKED }
}

pub(crate) fn migration(revision: &str, title: &str) -> Migration {
    let file = format!("alembic/versions/{revision}.py");
    Migration { revision: revision.parse().unwrap(), title: title.into(), file, sha256: "0".repeat(64) }
}

fn answer(gate: Gate, reply: Reply, reason: &str) -> Answer {
    Answer { gate, reply, reason: reason.into(), lift: None, since: None, seen: None }
}

/// Code only: three commits, nothing else.
pub(crate) fn code() -> PlanView {
    let newest = vec![
        commit("3f2c1a9d", "Round the value added tax per line, as the law asks from next year on", "Dana Developer"),
        commit("77aa0011", "Print", "Ωmega"),
        commit("5d5e5f00", "Übersetze die Rechnung", "A name that is longer than anybody's is"),
    ];
    let live = Live { release: ReleaseId(41), revision: Some(sha("91ab3e0d")), verified: true };
    PlanView {
        app: "tsh-erp".parse().unwrap(),
        wanted: "main".into(),
        compared: Compared {
            to: newest[0].clone(),
            from: Some(commit("91ab3e0d", "Before", "Dana Developer")),
            new: Commits { count: 3, newest },
            gone: Commits::default(),
            packages: Packages { file: Some("requirements.txt".into()), ..Packages::default() },
            migrations: Migrations::default(),
        },
        database: true,
        schema: vec!["0002_processed".into()],
        lane: Some(Lane::Code),
        lane_note: "no migration is pending".into(),
        rehearsal: None,
        expected: Expected { from: 4, total: Some(62_000), downtime: Some(2_100), ..Expected::default() },
        gates: vec![
            answer(Gate::Lock, Reply::Pass, "not locked"),
            answer(Gate::Windows, Reply::Off, "not configured"),
            answer(Gate::Ancestry, Reply::Pass, "a descendant of what runs (91ab3e0d)"),
        ],
        kept: Vec::new(),
        open: None,
        rollback: plan::rollback(Some(&live), Some(Lane::Code)),
        live: Some(live),
    }
}

/// With everything that there can be.
pub(crate) fn full() -> PlanView {
    let mut view = code();
    let migrations = &mut view.compared.migrations;
    for list in [&mut migrations.pending, &mut migrations.added, &mut migrations.removed, &mut migrations.edited] {
        list.push(migration("0003_note", "Orders may carry a note"));
    }
    migrations.unknown = Some("only Django tells".into());
    migrations.trouble = Some("two heads".into());
    let packages = &mut view.compared.packages;
    packages.changes = vec![Change { name: "click".into(), old: Some("8.5.1".into()), new: Some("8.5.2".into()) }];
    packages.before = Some("uv.lock".into());
    packages.unknown = Some("`build.lock` is a command".into());
    view.compared.gone.newest = view.compared.new.newest.clone();
    view.rehearsal = Some(Rehearsed {
        deployment: DeploymentId(40),
        at: ASKED,
        lane: view.lane,
        took: Some(700),
        window: Some(14_200),
        against: vec!["public.orders is locked for 4.2 s".into()],
    });
    view.kept = vec![ReleaseId(39)];
    view.open = Some(DeploymentId(42));
    view
}

/// The screen, whose lines all fit.
fn shown(view: &PlanView) -> String {
    let text = plan(view, &look());
    for line in text.lines() {
        assert!(width(line) <= 80, "{line}");
    }
    text
}

#[test]
fn code_alone() {
    assert_snapshot!(shown(&code()), @"
    tsh-erp: main is 3f2c1a9d; release 41 (91ab3e0d) runs
      new:        3f2c1a9d Round the value added tax per line, …  Dana Developer
                  77aa0011 Print                                  Ωmega
                  5d5e5f00 Übersetze die Rechnung                 A name that is lo…
      packages:   no difference
      migrations: none is pending; the database is at 0002_processed
      lane:       code only: no migration is pending
      expected:   1 min 02 s, 2.1 s of it without service (the median of 4)
      release:    it is built: none of this commit is kept
      rollback:   if it fails: back to release 41 (91ab3e0d); the database is not
                  touched
                  afterwards: `tsh-agent rollback` does the same, as long as no
                  migration has run
      gates:      nothing is in the way
      ✓ lock        not locked
      ✓ ancestry    a descendant of what runs (91ab3e0d)
    ");
}

#[test]
fn nothing_new() {
    let mut view = code();
    view.compared.to = commit("91ab3e0d", "Before", "Dana Developer");
    view.compared.new = Commits::default();
    assert_snapshot!(shown(&view), @"
    tsh-erp: main is 91ab3e0d; release 41 (91ab3e0d) runs
      commit:     Before (Dana Developer)
      now:        nothing to do: this commit runs, and was verified
      gates:      nothing is in the way
      ✓ lock        not locked
      ✓ ancestry    a descendant of what runs (91ab3e0d)
    ");
    view.live.as_mut().unwrap().verified = false;
    assert!(shown(&view).contains("none: it is the same commit"), "it is deployed again");
}

#[test]
fn packages_and_migrations() {
    let mut view = code();
    let change = |name: &str, old: Option<&str>, new: Option<&str>| Change {
        name: name.into(),
        old: old.map(str::to_owned),
        new: new.map(str::to_owned),
    };
    view.compared.packages.changes = vec![
        change("fastapi", Some("0.165.0"), Some("0.166.1")),
        change("httpx", None, Some("0.27.0")),
        change("requests", Some("2.32.0"), None),
    ];
    view.compared.packages.loose = 1;
    view.compared.migrations.pending =
        vec![migration("0003_note", "Orders may carry a note"), migration("0004_total", "")];
    view.compared.migrations.edited = vec![migration("0001_orders", "Orders")];
    view.compared.new.count = 120;
    view.compared.gone = Commits { count: 1, newest: vec![commit("0badc0de", "Try something", "Dana Developer")] };
    view.lane = Some(Lane::Fenced);
    view.lane_note = "as it was rehearsed; it is rehearsed again".into();
    view.rehearsal = Some(Rehearsed {
        deployment: DeploymentId(40),
        at: ASKED,
        lane: Some(Lane::Fenced),
        took: Some(700),
        window: Some(14_200),
        against: vec!["public.orders is locked for 4.2 s (ACCESS EXCLUSIVE)".into()],
    });
    view.rollback = plan::rollback(view.live.as_ref(), view.lane);
    view.expected = Expected::default();
    view.kept = vec![ReleaseId(39)];
    view.open = Some(DeploymentId(42));
    view.gates.push(answer(Gate::Ci, Reply::Open, "asked for each revision"));
    view.gates[0] = answer(Gate::Lock, Reply::Wait { until: None }, "locked by olga: stocktaking");
    assert_snapshot!(shown(&view), @"
    tsh-erp: main is 3f2c1a9d; release 41 (91ab3e0d) runs
      open:       deployment 42 is open: one that is ordered now is refused, or
                  takes its place if it waits
      new:        3f2c1a9d Round the value added tax per line, …  Dana Developer
                  77aa0011 Print                                  Ωmega
                  5d5e5f00 Übersetze die Rechnung                 A name that is lo…
                  and 117 more
      goes:       what runs has these, and the commit does not:
                  0badc0de Try something                              Dana Developer
      packages:   3 differ in requirements.txt; 1 is not pinned: the build takes
                  what is newest then
                    fastapi 0.165.0 → 0.166.1
                  + httpx 0.27.0
                  - requests 2.32.0
      edited:     0001_orders has another text now, which is refused if it has run
      migrations: 2 pending, by their files; the database is at 0002_processed
                  0003_note  Orders may carry a note
                  0004_total  alembic/versions/0004_total.py
      rehearsal:  deployment 40 rehearsed exactly these at 2026-11-21 14:02: fenced,
                  migrated in 0.7 s, 14.2 s closed
                  not online: public.orders is locked for 4.2 s (ACCESS EXCLUSIVE)
      lane:       fenced: as it was rehearsed; it is rehearsed again
      expected:   not known: no deployment has taken this lane here yet
      release:    it is built again, though release 39 is of this commit: `tsh-agent
                  rollback --to 39` makes that one live
      rollback:   if it fails before the door opens: back to release 41 (91ab3e0d),
                  and to the database as it was (case 2)
                  afterwards: `tsh-agent rollback` goes back only over a schema that
                  the old release was proven on
      gates:      in the way of a deployment that is ordered now
      … lock        locked by olga: stocktaking
      ✓ ancestry    a descendant of what runs (91ab3e0d)
      · ci          asked for each revision
    ");
}

#[test]
fn what_cannot_be_known_is_said() {
    let mut view = code();
    view.wanted = "3f2c1a9".into();
    view.compared.from = None;
    view.compared.new = Commits::default();
    view.compared.packages = Packages {
        unknown: Some("`build.lock` is a command: what it installs is known when it has run".into()),
        ..Packages::default()
    };
    view.compared.migrations.unknown = Some("which ones have run, only Django tells".into());
    view.compared.migrations.added = vec![migration("shop.0002_price", "")];
    view.compared.migrations.trouble = Some("the migrations have 2 heads: a, b".into());
    view.lane = None;
    view.lane_note = "the inspection tells, when the release is built".into();
    view.rehearsal = Some(Rehearsed {
        deployment: DeploymentId(40),
        at: ASKED,
        lane: None,
        took: None,
        window: None,
        against: vec!["in the rehearsal, migration 0002 -> 0003 failed".into()],
    });
    view.rollback = plan::rollback(view.live.as_ref(), None);
    assert_snapshot!(shown(&view), @"
    tsh-erp: 3f2c1a9d; release 41 (91ab3e0d) runs
      commit:     Round the value added tax per line, as the law asks from next yea…
      commits:    the repository does not have what runs, so nothing can be compared
      packages:   not known: `build.lock` is a command: what it installs is known
                  when it has run
      migrations: not known: which ones have run, only Django tells
                  new in this commit:
                  shop.0002_price  alembic/versions/shop.0002_price.py
      trouble:    the migrations have 2 heads: a, b; the inspection will refuse that
      rehearsal:  deployment 40 rehearsed exactly these at 2026-11-21 14:02, and it
                  failed: in the rehearsal, migration 0002 -> 0003 failed
      lane:       not known: the inspection tells, when the release is built
      expected:   not known before the lane is
      release:    it is built: none of this commit is kept
      rollback:   if it fails: back to release 41 (91ab3e0d); what becomes of the
                  database depends on the lane
                  afterwards: `tsh-agent rollback` goes back only over a schema that
                  the old release was proven on
      gates:      nothing is in the way
      ✓ lock        not locked
      ✓ ancestry    a descendant of what runs (91ab3e0d)
    ");
}

#[test]
fn the_first_one() {
    let mut view = code();
    (view.live, view.compared.from, view.database) = (None, None, false);
    view.compared.new = Commits::default();
    view.expected = Expected { from: 1, total: Some(9_000), downtime: Some(0), ..Expected::default() };
    view.rollback = plan::rollback(None, view.lane);
    assert_snapshot!(shown(&view), @"
    tsh-erp: main is 3f2c1a9d; nothing runs yet
      commit:     Round the value added tax per line, as the law asks from next yea…
      packages:   requirements.txt says what is installed
      lane:       code only: no migration is pending
      expected:   9.0 s, without a pause (as the only one so far)
      release:    it is built: none of this commit is kept
      rollback:   no release is live that could be gone back to: what fails is
                  stopped
      gates:      nothing is in the way
      ✓ lock        not locked
      ✓ ancestry    a descendant of what runs (91ab3e0d)
    ");
}
