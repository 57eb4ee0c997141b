//! Every screen as a person sees it. A change of wording is a change of this file.

use insta::assert_snapshot;

use super::fixtures::{self, look};
use super::progress::Progress;
use super::{Look, ending, history, show, status};
use crate::model::outcome::Verdict;
use crate::model::view::DeploymentView;

/// What `deploy` leaves on the screen, progress and end.
fn deploy(view: &DeploymentView) -> String {
    let look = look();
    let mut progress = Progress::default();
    let mut out = progress.heading(view, &look);
    while let Some(line) = progress.finished(view, &look) {
        out += &line;
    }
    out + &match view.verdict {
        Some(Verdict::Deployed) | None => ending::good(view, &look),
        Some(verdict) => ending::bad(view, verdict, &look),
    }
}

#[test]
fn a_good_deployment_of_code() {
    assert_snapshot!(deploy(&fixtures::code()), @"
    deployment 42 of tsh-erp: deploying main (asked for by alice)
      ✓ fetch          3f2c1a9d Round the value added tax per line, as the la… 1.2 s
      ✓ build          46 packages with uv, from cache                         9.8 s
      ✓ seal           1,537 files, 184 MB                                     0.4 s
      ✓ inspect        no pending migrations                                   0.6 s
      ✓ stop           tsh-erp.service                                         0.4 s
      ✓ switch         current is release 42                                   0.0 s
      ✓ start          tsh-erp.service                                         0.1 s
      ✓ probe          healthy after 3 probes, 3f2c1a9d answers                2.3 s
      ✓ workers        tsh-erp-worker.service, tsh-erp-nightly.timer           0.1 s
      ✓ bake           30 probes, no restart                                    30 s
      ✓ settle                                                                 0.0 s
      ✓ prune          release 37 deleted                                      0.3 s
    deployed tsh-erp 3f2c1a9d as release 42 in 45 s
    ");
}

#[test]
fn a_good_deployment_through_the_fence() {
    assert_snapshot!(deploy(&fixtures::fenced()), @"
    deployment 42 of tsh-erp: deploying main (asked for by alice)
      ✓ fetch          3f2c1a9d Round the value added tax per line, as the la… 1.2 s
      ✓ build          46 packages with uv, from cache                         9.8 s
      ✓ seal           1,537 files, 184 MB                                     0.4 s
      ✓ inspect        2 pending migrations                                    0.6 s
      ✓ backup         214 MB, SHA-256 checked                                 4.9 s
      ✓ close          nginx answers 503                                       0.0 s
      ✓ stop           3 units                                                 1.4 s
      ✓ fence          1 session ended: psql of bob                            0.1 s
      ✓ twin           tsh_erp_before_42                                       2.4 s
      ✓ migrate        now at b2c4e6f8                                         1.9 s
      ✓ switch         current is release 42                                   0.0 s
      ✓ admit                                                                  0.0 s
      ✓ start          tsh-erp.service                                         0.1 s
      ✓ probe          healthy after 3 probes, 3f2c1a9d answers                2.3 s
      ✓ open           closed for 8.2 s                                        0.0 s
      ✓ workers        tsh-erp-worker.service, tsh-erp-nightly.timer           0.1 s
      ✓ bake           180 probes, no restart                             3 min 05 s
      ✓ settle                                                                 0.0 s
      ! prune          release 37 could not be deleted: permission denied      0.3 s
    deployed tsh-erp 3f2c1a9d as release 42 in 3 min 31 s
    ");
}

#[test]
fn a_deployment_that_was_rolled_back() {
    assert_snapshot!(deploy(&fixtures::rolled_back()), @r#"
    deployment 42 of tsh-erp: deploying main (asked for by alice)
      ✓ fetch          3f2c1a9d Round the value added tax per line, as the la… 1.2 s
      ✓ build          46 packages with uv, from cache                         9.8 s
      ✓ seal           1,537 files, 184 MB                                     0.4 s
      ✓ inspect        no pending migrations                                   0.6 s
      ✓ stop           tsh-erp.service                                         0.4 s
      ✓ switch         current is release 42                                   0.0 s
      ✓ start          tsh-erp.service                                         0.1 s
      · probe          interrupted, again                                      5.1 s
      ✗ probe          http://127.0.0.1:8000/health answered 503 for 30 s       30 s
      going back to release 41 (91ab3e0d)
      ✓ halt           tsh-erp.service                                         0.4 s
      ✓ restore        the schema is as it was                                 0.1 s
      ✓ switch-back    current is release 41                                   0.0 s
      ✓ return         tsh-erp.service                                         0.1 s
      ✓ reprobe        healthy after 3 probes, 91ab3e0d answers                2.2 s
      ✓ return-workers tsh-erp-worker.service                                  0.1 s
    error: tsh-erp was not deployed at 3f2c1a9d; what was done is undone
      step:       probe
      cause:      http://127.0.0.1:8000/health answered 503 for 30 s, the last time
                  with {"detail":"redis is not reachable"}
      hint:       the new release asks for REDIS_URL, which tsh-erp.env does not
                  have
      output:     the last lines of tsh-erp.service
                  | INFO:     Started server process [4121]
                  | redis.exceptions.ConnectionError: Error 111 connecting to redis…
      now:        release 41 (91ab3e0d) serves, verified
      undone:     tsh-erp.service runs from release 41 again
                  the link points to release 41
      database:   unchanged: no migration was pending
      next:       `tsh-agent logs 42` has everything that was said; mend the cause
                  before you deploy again
    "#);
}

#[test]
fn a_failure_before_production_was_touched() {
    assert_snapshot!(deploy(&fixtures::failed()), @"
    deployment 42 of tsh-erp: deploying main (asked for by alice)
      ✓ fetch          3f2c1a9d Round the value added tax per line, as the la… 1.2 s
      ✗ build          uv: the lock file does not match pyproject.toml          12 s
    error: tsh-erp was not deployed at 3f2c1a9d; production was not touched
      step:       build
      cause:      uv: the lock file does not match pyproject.toml
      hint:       run `uv lock` and commit uv.lock
      output:     the last lines of the step
                  | error: The lockfile at `uv.lock` needs to be updated.
      now:        release 41 (91ab3e0d) serves, as before
      next:       `tsh-agent logs 42` has everything that was said; mend the cause
                  before you deploy again
    ");
}

#[test]
fn a_deployment_that_needs_an_operator() {
    assert_snapshot!(deploy(&fixtures::needs_operator()), @"
    deployment 42 of tsh-erp: deploying main (asked for by alice)
      ✓ fetch          3f2c1a9d Round the value added tax per line, as the la… 1.2 s
      ✓ build          46 packages with uv, from cache                         9.8 s
      ✓ seal           1,537 files, 184 MB                                     0.4 s
      ✓ inspect        1 pending migration                                     0.6 s
      ✓ close          nginx answers 503                                       0.0 s
      ✗ migrate        duplicate key in invoice_number                         1.9 s
      going back to release 41 (91ab3e0d)
      ✗ restore        no disk space left for the swap                         0.1 s
      ✗ restore        tsh_erp_before_42 is not there                          0.1 s
    error: tsh-erp needs an operator after deployment 42 of 3f2c1a9d
      step:       migrate
      cause:      alembic: duplicate key value in invoice_number
      now:        nothing: the door is closed, nginx answers 503
      not undone: restore: tsh_erp_before_42 is not there
      database:   half migrated; tsh_erp is fenced, and the backup of 14:02 is whole
      note:       the rollback stopped at restore; nothing more is tried until a
                  person says so
      next:       `tsh-agent show 42` and `tsh-agent logs 42` say why
                  mend what stands in the way of undoing it
                  `tsh-agent abort 42` then tries the rollback again
    ");
}

#[test]
fn other_ends() {
    let look = look();
    let nothing = DeploymentView { lane: None, note: Some("3f2c1a9d is live already".into()), ..fixtures::code() };
    let rollback = DeploymentView { kind: "rollback".into(), ..fixtures::code() };
    let aborted = DeploymentView { verdict: Some(Verdict::Aborted), ..fixtures::code() };
    let ends = ending::good(&nothing, &look)
        + &ending::good(&rollback, &look)
        + &ending::bad(&aborted, Verdict::Aborted, &look);
    assert_snapshot!(ends, @"
    nothing to do: tsh-erp serves 3f2c1a9d already, as release 41
    rolled back tsh-erp to 3f2c1a9d, release 42 in 45 s
    error: tsh-erp was not deployed at 3f2c1a9d; aborted, and what was done is undone
      now:        release 42 (3f2c1a9d) serves, verified
      next:       `tsh-agent deploy` when you are ready
    ");
}

#[test]
fn the_history() {
    assert_snapshot!(history::history(&fixtures::history(), &look()), @"
    ID  ASKED             REVISION  RESULT       TOOK        BY     SUBJECT
    42  2026-11-21 14:02  3f2c1a9d  deployed     45 s        alice  Round the value…
    41  2026-11-20 14:02  3f2c1a9d  rolled-back  3 min 05 s  bob    (pinned) rollba…
    40  2026-11-19 14:02  -         failed       0.9 s       alice
    ");
}

#[test]
fn the_history_of_two_applications() {
    let mut rows = fixtures::history();
    rows[1].app = "a-shop-with-a-long-name".parse().unwrap();
    (rows[1].state, rows[1].by, rows[1].ended) = ("needs-operator".into(), "a-very-long-login".into(), None);
    assert_snapshot!(history::history(&rows, &look()), @"
    ID  APP               ASKED             REVISION  RESULT          TOOK
    42  tsh-erp           2026-11-21 14:02  3f2c1a9d  deployed        45 s
    41  a-shop-with-a-l…  2026-11-20 14:02  3f2c1a9d  needs-operator  1 d 01 h
    40  tsh-erp           2026-11-19 14:02  -         failed          0.9 s
    ");
}

#[test]
fn everything_about_a_deployment() {
    assert_snapshot!(show::show(&fixtures::fenced(), &look()), @"
    deployment 42 of tsh-erp: deployed
      asked:      main, by alice, 2026-11-21 14:02:41
      revision:   3f2c1a9d00000000000000000000000000000000
                  Round the value added tax per line, as the law asks
      release:    42, after 41 (91ab3e0d)
      lane:       fenced
      migrations: a1b3c5d7 add invoice.currency
                  b2c4e6f8 index invoice.customer concurrently (may leave half of
                  its work behind)
      took:       3 min 31 s

      ✓ fetch          3f2c1a9d Round the value added tax per line, as the la… 1.2 s
      ✓ build          46 packages with uv, from cache                         9.8 s
      ✓ seal           1,537 files, 184 MB                                     0.4 s
      ✓ inspect        2 pending migrations                                    0.6 s
      ✓ backup         214 MB, SHA-256 checked                                 4.9 s
      ✓ close          nginx answers 503                                       0.0 s
      ✓ stop           3 units                                                 1.4 s
      ✓ fence          1 session ended: psql of bob                            0.1 s
      ✓ twin           tsh_erp_before_42                                       2.4 s
      ✓ migrate        now at b2c4e6f8                                         1.9 s
      ✓ switch         current is release 42                                   0.0 s
      ✓ admit                                                                  0.0 s
      ✓ start          tsh-erp.service                                         0.1 s
      ✓ probe          healthy after 3 probes, 3f2c1a9d answers                2.3 s
      ✓ open           closed for 8.2 s                                        0.0 s
      ✓ workers        tsh-erp-worker.service, tsh-erp-nightly.timer           0.1 s
      ✓ bake           180 probes, no restart                             3 min 05 s
      ✓ settle                                                                 0.0 s
      ! prune          release 37 could not be deleted: permission denied      0.3 s

      now:        release 42 (3f2c1a9d) serves, verified
      database:   at b2c4e6f8; the twin tsh_erp_before_42 is kept until the next
                  deployment
    ");
}

#[test]
fn everything_about_a_failure() {
    assert_snapshot!(show::show(&fixtures::needs_operator(), &look()), @"
    deployment 42 of tsh-erp: needs-operator
      asked:      main, by alice, 2026-11-21 14:02:41
      revision:   3f2c1a9d00000000000000000000000000000000
                  Round the value added tax per line, as the law asks
      release:    42, after 41 (91ab3e0d)
      lane:       fenced
      took:       14 s

      ✓ fetch          3f2c1a9d Round the value added tax per line, as the la… 1.2 s
      ✓ build          46 packages with uv, from cache                         9.8 s
      ✓ seal           1,537 files, 184 MB                                     0.4 s
      ✓ inspect        1 pending migration                                     0.6 s
      ✓ close          nginx answers 503                                       0.0 s
      ✗ migrate        duplicate key in invoice_number                         1.9 s
      ✗ restore        no disk space left for the swap                         0.1 s
      ✗ restore        tsh_erp_before_42 is not there                          0.1 s

      step:       migrate
      cause:      alembic: duplicate key value in invoice_number
      now:        nothing: the door is closed, nginx answers 503
      not undone: restore: tsh_erp_before_42 is not there
      database:   half migrated; tsh_erp is fenced, and the backup of 14:02 is whole
      note:       the rollback stopped at restore; nothing more is tried until a
                  person says so
    ");
}

#[test]
fn the_live_line_is_replaced_and_leaves_nothing() {
    let look = Look { now: fixtures::ASKED + 6_000, ..look() };
    let (mut running, done) = (fixtures::running(), fixtures::code());
    running.steps[1].expected = Some(9_000);
    let mut progress = Progress::default();
    let mut out = progress.heading(&running, &look);
    while let Some(line) = progress.finished(&running, &look) {
        out += &line;
    }
    out += &progress.running(&running, &look);
    out += &progress.said(&["Resolved 46 packages".into()], &look);
    out += &progress.running(&running, &look);
    out += &progress.finished(&done, &look).unwrap();
    out += &progress.clear();
    assert_snapshot!(out.replace('\r', "<").replace("\u{1b}[K", ">"), @"
    deployment 42 of tsh-erp: deploying main (asked for by alice)
      ✓ fetch          3f2c1a9d Round the value added tax per line, as the la… 1.2 s
      … build                                                4.7 s of about 9.0 s<>    | Resolved 46 packages
      … build                                                4.7 s of about 9.0 s<>  ✓ build          46 packages with uv, from cache                         9.8 s
    ");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 110] {
        let look = Look { width, ..look() };
        let mut screens = vec![
            history::history(&fixtures::history(), &look),
            status::status(&fixtures::status(), &look),
            status::status(&fixtures::status_closed(), &look),
            status::oneline(&fixtures::status(), &look),
            status::oneline(&fixtures::status_closed(), &look),
        ];
        for view in [
            fixtures::code(),
            fixtures::fenced(),
            fixtures::rolled_back(),
            fixtures::failed(),
            fixtures::needs_operator(),
            fixtures::running(),
        ] {
            screens.push(show::show(&view, &look));
            screens.extend(view.verdict.map(|verdict| ending::bad(&view, verdict, &look)));
            let mut progress = Progress::default();
            screens.push(progress.heading(&view, &look));
            screens.extend(std::iter::from_fn(|| progress.finished(&view, &look)));
        }
        for line in screens.iter().flat_map(|screen| screen.lines()) {
            // The headline of a failure is one line by design: programs look for it.
            assert!(super::text::width(line) <= width || line.starts_with("error:"), "{width}: {line}");
        }
    }
}

#[test]
fn colours_say_nothing_that_the_words_do_not() {
    let colour = Look { colour: true, ..look() };
    let painted = show::show(&fixtures::rolled_back(), &colour) + &history::history(&fixtures::history(), &colour);
    let bare = show::show(&fixtures::rolled_back(), &look()) + &history::history(&fixtures::history(), &look());
    assert!(painted.contains("\u{1b}[31m✗\u{1b}[0m"));
    assert_eq!(crate::api::plain(&painted), bare);
}

#[test]
fn behind_the_commit_point_a_person_decides() {
    let mut view = fixtures::fenced();
    view.verdict = Some(Verdict::NeedsOperator);
    let text = ending::bad(&view, Verdict::NeedsOperator, &look());
    assert_snapshot!(&text[text.find("  next:").unwrap()..], @"
      next:       `tsh-agent show 42` and `tsh-agent logs 42` say why
                  forward: mend the code, then `tsh-agent deploy REVISION`
                  back: `tsh-agent rollback --to 41`, if that release knows the
                  schema as it is now
    ");
}

#[test]
fn a_push_that_waits_says_for_what() {
    let said = status::status(&fixtures::status_pushed(), &look());
    assert!(said.contains("\n  pushed:     by github alice bb220000, 14:03, and 1 before it\n"), "{said}");
    assert!(said.contains("\n              waits: deployment 43 runs\n"), "{said}");
}

#[test]
fn what_came_by_itself_says_so() {
    let said = show::show(&fixtures::pushed(), &look());
    let lines: Vec<&str> = said.lines().skip(1).take(2).collect();
    assert_eq!(
        lines,
        [
            "  asked:      main, by github alice, 2026-11-21 14:02:41",
            "  trigger:    a webhook of github, delivery 72d3162e-cc78-11e3-81ab-4c9367dc0958"
        ]
    );
}
