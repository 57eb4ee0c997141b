//! Two slots behind one socket: nobody's request is dropped, whatever the release is like.

use tsh_agent::model::outcome::Verdict::{self, Deployed, RolledBack};
use tsh_agent::model::view::DeploymentView;

use crate::harness::agent::SETTINGS;
use crate::harness::load::{DIRECT, Load, Met, NGINX};
use crate::harness::machine::Said;
use crate::harness::state::Server;
use crate::harness::strike::{strike, struck};
use crate::harness::verify::{live_release, story};
use crate::harness::wait::{seconds, until};

/// A server whose application is behind a socket.
fn behind_a_socket(strategy: &str) -> Server {
    let server = Server::ready();
    server.set("strategy", &format!("\"{strategy}\""));
    server.set("app", "\"erp.main:app\"");
    server.set("listen", "\"127.0.0.1:8000\"");
    server.ok(&format!("sed -i '/name = \"tsh-erp.service\"/d' {SETTINGS}"));
    server.agent("init tsh-erp").ok();
    server.ok("systemctl disable -q --now tsh-erp.service && systemctl start tsh-erp@a.service");
    server.ok("systemctl is-active tsh-erp.socket");
    server
}

/// One slot serves, from the release that is live, and the other is at rest with the same link.
#[track_caller]
fn verify(server: &Server, id: u32, verdict: Verdict) -> DeploymentView {
    let view = server.show(id);
    assert_eq!(view.verdict, Some(verdict), "{}", story(&view));
    let live = live_release(server);
    let expected = if verdict == Deployed { view.release.0 } else { server.old().id };
    assert_eq!(live.id, expected, "what is live");
    let links = server.ok("for link in current a b; do readlink /srv/tsh-erp/links/$link || true; done");
    assert!(links.lines().all(|link| link == format!("../releases/{expected}")), "{links}");
    let up = server.ok("systemctl list-units --plain --no-legend --state=active 'tsh-erp@*' | wc -l");
    assert_eq!(up, "1", "slots that are up");
    server.ok("systemctl is-active -q tsh-erp.socket && systemctl is-active -q tsh-erp-worker");
    view
}

/// Deploys while users ask; returns what they met and what the operator saw.
fn deploy(server: &Server, branch: &str, options: &[&str], verdict: Verdict) -> (Met, Said) {
    let load = Load::start(server, options);
    let said = server.agent(&format!("deploy {branch}"));
    let met = load.stop();
    assert_eq!(said.code, verdict.exit() as i32, "{said:?}");
    verify(server, server.newest(), verdict);
    eprintln!("{branch}: {met:?}");
    (met, said)
}

#[track_caller]
fn nobody_failed(met: &Met) {
    assert!(met.requests > 200 && met.failed == 0 && met.errors.is_empty(), "{met:?}");
}

#[test]
fn nobody_notices_a_good_release_nor_a_bad_one() {
    let server = behind_a_socket("slots");
    let (met, _) = deploy(&server, "v/dies-at-import", &[DIRECT, NGINX], RolledBack);
    nobody_failed(&met);
    assert_eq!(met.answers.len(), 1, "the old release served throughout: {met:?}");
    let (met, said) = deploy(&server, "v/good2", &[DIRECT, NGINX], Deployed);
    nobody_failed(&met);
    assert_eq!(met.answers.len(), 2, "both releases answered: {met:?}");
    let felt = server.show(server.newest()).felt.unwrap();
    assert!(felt.requests > 10 && felt.failed == 0 && felt.down_ms == 0, "{felt:?}");
    assert!(said.out.contains("users:      downtime 0 ms, slowest "), "{}", said.out);
}

#[test]
fn behind_one_slot_requests_wait() {
    let server = behind_a_socket("socket");
    let (met, _) = deploy(&server, "v/good2", &["--new", DIRECT, NGINX], Deployed);
    nobody_failed(&met);
    assert!(met.answers.len() == 2 && met.slowest_ms > 300, "they waited for the start: {met:?}");
}

/// A connection that was taken in the very moment in which the turn ends is served all the same.
#[test]
fn the_turn_ends_again_and_again() {
    let server = behind_a_socket("slots");
    let load = Load::start(&server, &["--new", "--clients", "64", "--pause", "0", DIRECT]);
    server.ok("cd /run/tsh-agent/tsh-erp
        turn() {
            echo $1 > .serving && mv .serving serving
            until systemctl show -P StatusText tsh-erp@a | grep -q \"^$2\"; do :; done
        }
        for _ in {1..80}; do turn none standing; turn a accepting; done");
    nobody_failed(&load.stop());
}

/// What fails while it bakes hands back to a process that never stopped.
#[test]
#[ignore = "scripts/test --full runs it"]
fn one_that_fails_in_the_bake_hands_back() {
    let server = behind_a_socket("slots");
    server.set("bake", "\"8s\"");
    let before = server.ok("systemctl show -P MainPID tsh-erp@a");
    let (met, said) = deploy(&server, "v/worker-crash", &[DIRECT, NGINX], RolledBack);
    nobody_failed(&met);
    assert!(said.err.contains("tsh-erp-worker.service"), "{}", said.err);
    assert_eq!(server.ok("systemctl show -P MainPID tsh-erp@a"), before, "going back takes no start");
}

/// The machine dies at a hand-over, one way and the other.
fn machine_dies(branch: &str, step: &str, expected: Verdict) {
    let (server, id) = struck(|| {
        let server = behind_a_socket("slots");
        let id = strike(&server, &format!("deploy {branch} --detach"), step, "freeze");
        (server, id)
    });
    server.crash();
    server.up();
    assert_eq!(server.settled(id), expected);
    verify(&server, id, expected);
}

#[test]
fn the_machine_dies_at_the_hand_over() {
    machine_dies("v/good2", "hand-over", RolledBack);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_machine_dies_when_the_old_slot_is_stopped() {
    machine_dies("v/good2", "settle", Deployed);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_machine_dies_while_it_hands_back() {
    machine_dies("v/worker-crash", "return", RolledBack);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn a_migration_in_the_fenced_lane_stops_both() {
    let server = behind_a_socket("slots");
    deploy(&server, "v/breaking", &[NGINX], Deployed);
    let (_, said) = deploy_again(&server);
    assert!(said.out.contains("as release"), "{said:?}");
}

/// After a deployment that stopped everything the first slot serves, and the next one can take turns again.
fn deploy_again(server: &Server) -> (Met, Said) {
    let load = Load::start(server, &[DIRECT]);
    let said = server.agent("deploy v/breaking --force");
    let met = load.stop();
    assert_eq!(said.code, 0, "{said:?}");
    nobody_failed(&met);
    until("one slot is up", seconds(5), || {
        (server.ok("systemctl list-units --plain --no-legend --state=active 'tsh-erp@*' | wc -l") == "1").then_some(())
    });
    (met, said)
}

/// An order that was begun before the hand-over; the answer comes from the slot that took it.
fn lingers(server: &Server, drain: &str, go_on_at: &str) -> (String, DeploymentView) {
    server.set("drain", &format!("\"{drain}\""));
    server.agent("init tsh-erp").ok();
    let lena = server.spawn(&["/opt/tests-lab/linger", DIRECT, "/run/go-on"]);
    until("the order is begun", seconds(10), || {
        server.ok("systemctl show -P StatusText tsh-erp@a").ends_with(" 1 open").then_some(())
    });
    server.agent("deploy v/good2 --detach").ok();
    let id = server.newest();
    until("it is time to go on", seconds(120), || {
        let steps = server.show(id).steps;
        steps.iter().any(|step| step.step.word() == go_on_at).then_some(())
    });
    if go_on_at == "prune" {
        server.settled(id);
    }
    server.ok("touch /run/go-on");
    let said = Said::of(&lena.wait_with_output().unwrap());
    server.settled(id);
    (said.out, verify(server, id, Deployed))
}

fn settle_says(view: &DeploymentView) -> &str {
    view.steps.iter().find(|step| step.step.word() == "settle").map(|step| step.detail.as_str()).unwrap()
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn what_was_begun_is_finished() {
    let server = behind_a_socket("slots");
    let (said, view) = lingers(&server, "60s", "bake");
    assert!(said.ends_with("201\n"), "{said}");
    assert_eq!(settle_says(&view), "the old release has finished all requests");
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn what_takes_longer_than_the_drain_deadline_is_cut_off_and_counted() {
    let server = behind_a_socket("slots");
    let (said, view) = lingers(&server, "2s", "prune");
    assert!(said.ends_with("cut off\n"), "{said}");
    assert!(settle_says(&view).starts_with("1 requests or connections"), "{view:?}");
}

/// The record says what users felt: nothing with slots, and the truth without.
#[test]
#[ignore = "scripts/test --full runs it"]
fn the_record_says_what_users_felt() {
    let server = Server::ready();
    let said = server.agent("deploy v/good2").ok();
    let felt = server.show(server.newest()).felt.unwrap();
    assert!(felt.failed > 0 && felt.down_ms >= 100, "a restart is felt: {felt:?}");
    assert!(said.contains("requests failed), slowest "), "{said}");
}
