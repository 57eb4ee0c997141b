//! The status as a person sees it.

use insta::assert_snapshot;

use super::super::fixtures::{self, look};
use super::{oneline, status};
use crate::model::names::ReleaseId;
use crate::model::pin::Pin;
use crate::model::view::MaintenanceNow;

#[test]
fn an_application_that_is_well() {
    assert_snapshot!(status(&fixtures::status(), &look()), @"
    tsh-erp is at release 42 (3f2c1a9d): healthy
      subject:    Round the value added tax per line, as the law asks
      live since: 2026-11-21 14:03 (59 min 15 s)
      answers:    GET http://127.0.0.1:8000/health, as 3f2c1a9d
      units:      tsh-erp.service         active since 14:03
                  tsh-erp-worker.service  active since 14:03, 2 restarts
      schema:     b2c4e6f8
      backups:    9, the newest 11 h 50 min ago, the newest proven 1 d 11 h ago
      next:       tsh-agent-backup@tsh-erp.timer 2026-11-22 03:17
                  tsh-erp-nightly.timer not scheduled
      last:       deployment 42: deployed, 2026-11-21 14:03, asked for by alice
    ");
}

#[test]
fn an_application_in_one_line() {
    let lines = oneline(&fixtures::status(), &look()) + &oneline(&fixtures::status_closed(), &look());
    assert_snapshot!(lines, @"
    tsh-erp is at release 42 (3f2c1a9d): healthy since 2026-11-21 14:03
    tsh-erp is at release 42 (3f2c1a9d): not healthy; the door is closed: nginx ans…
    ");
}

#[test]
fn an_application_behind_a_closed_door() {
    assert_snapshot!(status(&fixtures::status_closed(), &look()), @r#"
    tsh-erp is at release 42 (3f2c1a9d): not healthy
      problem:    the door is closed: nginx answers 503
                  GET http://127.0.0.1:8000/health: connection refused
                  release 42 was never verified; the last one that was is 41
                  tsh-erp.service is failed
                  tsh-erp-worker.service does not run from this release
                  the schema cannot be read: connection to server on socket
                  "/var/run/postgresql/.s.PGSQL.5432" failed
                  tsh-erp.env was changed after tsh-erp.service was started
                  deployment 42 needs an operator; `tsh-agent show 42` says why
                  there is no backup; `tsh-agent backup now` takes one
      hint:       `sudo tsh-agent check` names what is wrong, and what mends it
      subject:    Round the value added tax per line, as the law asks
      units:      tsh-erp.service         failed since 14:03
                  tsh-erp-worker.service  active since 14:03, 2 restarts
      backups:    none
      next:       tsh-agent-backup@tsh-erp.timer 2026-11-22 03:17
                  tsh-erp-nightly.timer not scheduled
      last:       deployment 42: needs-operator, 2026-11-21 14:03, asked for by
                  alice
    "#);
}

#[test]
fn what_holds_deployments_back_is_told_with_what_lifts_it() {
    let mut view = fixtures::status();
    view.held = fixtures::held();
    let text = status(&view, &look());
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("  held:")).take(5).collect();
    assert_snapshot!(lines.join("\n"), @"
    held:       locked by olga since 14:02: stocktaking; `tsh-agent unlock`
                frozen by olga until 2026-11-22 14:02: nobody is here until
                Sunday; `tsh-agent unfreeze`
                what comes by itself is paused: deployment 41 of 77aa0011 was
                rolled back; `tsh-agent resume`
    ");
}

#[test]
fn a_restore_was_not_deployed() {
    let mut view = fixtures::status();
    view.last.as_mut().unwrap().kind = "restore".into();
    assert!(status(&view, &look()).contains("last:       restore 42: done, "));
}

#[test]
fn releases_that_are_pinned_are_told_with_the_reason() {
    let mut view = fixtures::status();
    let pin = |release, reason: &str| Pin {
        release: ReleaseId(release),
        reason: reason.into(),
        by: "olga".into(),
        at: fixtures::ASKED,
    };
    view.pinned = vec![pin(39, ""), pin(41, "the last one before the new price lists, which the auditors want to see")];
    let text = status(&view, &look());
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("  pinned:")).take(3).collect();
    assert_snapshot!(lines.join("\n"), @"
    pinned:     release 39, by olga since 14:02
                release 41, by olga since 14:02: the last one before the new price
                lists, which the auditors want to see
    ");
}

#[test]
fn an_application_that_a_person_has_closed() {
    let view = fixtures::status_in_maintenance();
    assert_snapshot!(oneline(&view, &look()) + &status(&view, &look()), @r"
    tsh-erp is at release 42 (3f2c1a9d): closed for maintenance since 14:52
    tsh-erp is at release 42 (3f2c1a9d): closed for maintenance
      closed:     for maintenance since 14:52 by olga: the disk is exchanged;
                  `tsh-agent maintenance off` lets people in
      subject:    Round the value added tax per line, as the law asks
      live since: 2026-11-21 14:03 (59 min 15 s)
      answers:    GET http://127.0.0.1:8000/health, as 3f2c1a9d
      units:      tsh-erp.service         active since 14:03
                  tsh-erp-worker.service  active since 14:03, 2 restarts
      schema:     b2c4e6f8
      backups:    9, the newest 11 h 50 min ago, the newest proven 1 d 11 h ago
      next:       tsh-agent-backup@tsh-erp.timer 2026-11-22 03:17
                  tsh-erp-nightly.timer not scheduled
      last:       deployment 42: deployed, 2026-11-21 14:03, asked for by alice
    ");
}

#[test]
fn maintenance_that_is_not_what_was_ordered_is_a_problem() {
    let mut view = fixtures::status_in_maintenance();
    view.maintenance.as_mut().unwrap().closed = false;
    assert_snapshot!(status(&view, &look()).lines().take(3).collect::<Vec<_>>().join("\n"), @r"
    tsh-erp is at release 42 (3f2c1a9d): not healthy
      problem:    olga ordered maintenance, and nobody is kept out; `tsh-agent
                  maintenance on` closes again
    ");
    view.maintenance = Some(MaintenanceNow { closed: true, by: None, reason: String::new(), since: None });
    assert_snapshot!(status(&view, &look()).lines().take(3).collect::<Vec<_>>().join("\n"), @r"
    tsh-erp is at release 42 (3f2c1a9d): not healthy
      problem:    nginx answers 503 because of a file put there by hand; `tsh-agent
                  check`
    ");
}
