//! A push goes live by itself, over a real git server.

use tsh_agent::model::outcome::Verdict;
use tsh_agent::model::trigger::Trigger;

use crate::harness::agent::SETTINGS;
use crate::harness::state::Server;
use crate::harness::verify::Release;
use crate::harness::wait::{seconds, until};
use crate::harness::writer::Writer;

/// A server whose repository tells the agent of each push.
pub fn with_hook() -> Server {
    let server = Server::ready();
    server.set("users", "[\"git\"]");
    server.agent("init tsh-erp").ok();
    server.ok("printf '#!/bin/sh\\ntsh-agent push-hint tsh-erp\\n' > /srv/git/erp.git/hooks/post-receive
        chmod 755 /srv/git/erp.git/hooks/post-receive");
    server
}

/// Pushes a change to the watched branch; the whole commit.
pub fn push(server: &Server, what: &str) -> String {
    server.ok(&format!("/opt/tests-lab/developer {what}"));
    server.tip("main")
}

/// Waits until nothing waits and nothing runs.
pub fn quiet(server: &Server) {
    until("everything has settled", seconds(300), || {
        let status = server.status();
        (status.pushes.is_empty() && status.running.is_none()).then_some(())
    });
}

/// The revisions that were deployed after the first release, oldest first.
fn since_the_start(server: &Server) -> Vec<String> {
    let rows = server.history().into_iter().filter(|row| row.id.0 > server.old().id);
    let mut shas: Vec<String> = rows.map(|row| row.revision.unwrap().as_str().to_owned()).collect();
    shas.reverse();
    shas
}

#[test]
fn a_push_to_a_repository_on_this_machine_goes_live_by_itself() {
    let server = with_hook();
    let writer = Writer::start(&server);
    let revision = push(&server, "push good2");
    let id = server.begun(server.old().id);
    assert_eq!(server.settled(id), Verdict::Deployed);
    server.verify_live(&Release { id, revision });
    let view = server.show(id);
    assert_eq!(view.trigger, Trigger::PostReceive { user: "git".to_owned() });
    quiet(&server);
    // Whoever may not say so is not heard; and a push of another branch brings nothing new.
    assert_ne!(server.sh_as("deploy", "tsh-agent push-hint tsh-erp").code, 0);
    server.ok("runuser -u git -- git -C /srv/git/erp.git branch other v/good2 && runuser -u git -- tsh-agent push-hint tsh-erp");
    quiet(&server);
    assert_eq!(server.newest(), id, "nothing is recorded where nothing is new");
    server.verify_rows(writer);
}

#[test]
fn of_pushes_during_a_deployment_only_the_last_is_deployed_after_it() {
    let server = with_hook();
    let a = push(&server, "push slow-build");
    let first = server.begun(server.old().id);
    let b = push(&server, "revert");
    let c = push(&server, "push good2");
    let status = server.status();
    assert_eq!(status.running.map(|id| id.0), Some(first), "the others came while the first was built");
    assert_eq!(status.pushes.len(), 1, "{status:?}");
    assert_eq!(server.agent("deploy").code, 5, "a person is told that one runs");
    quiet(&server);
    assert_eq!(since_the_start(&server), [a, c.clone()]);
    server.verify_live(&Release { id: first + 1, revision: c });
    assert_eq!(server.agent(&format!("deploy {b} --detach")).code, 0, "a person may deploy what was passed over");
}

#[test]
fn a_push_that_nobody_told_of_is_found_by_asking() {
    let server = Server::ready();
    let revision = push(&server, "push good2");
    server.set("poll", "\"10s\"");
    server.agent("init tsh-erp").ok();
    let id = until("the remote is asked", seconds(40), || Some(server.newest()).filter(|id| *id > server.old().id));
    assert_eq!(server.settled(id), Verdict::Deployed);
    assert_eq!(server.show(id).trigger, Trigger::Poll);
    server.verify_live(&Release { id, revision });
    // It is asked again, and finds nothing new.
    let asked = "systemctl show -P LastTriggerUSecMonotonic tsh-agent-poll@tsh-erp.timer";
    let before = server.ok(asked);
    until("the remote is asked again", seconds(40), || (server.ok(asked) != before).then_some(()));
    quiet(&server);
    assert_eq!(server.newest(), id);
}

#[test]
fn a_push_that_was_acknowledged_survives_the_death_of_the_core() {
    let server = with_hook();
    server.ok("rm /srv/git/erp.git/hooks/post-receive");
    let revision = push(&server, "push good2");
    server.ok("tsh-agent push-hint tsh-erp && kill -KILL $(systemctl show -P MainPID tsh-agent)");
    let id = server.begun(server.old().id);
    assert_eq!(server.settled(id), Verdict::Deployed);
    quiet(&server);
    assert_eq!(since_the_start(&server), [revision]);
}

/// At every distance from the answer: one deployment comes of it, and no more.
#[test]
#[ignore = "scripts/test --full runs it"]
fn the_core_may_die_at_any_moment_after_it_has_answered() {
    let server = with_hook();
    server.ok("rm /srv/git/erp.git/hooks/post-receive");
    let mut expected = Vec::new();
    for (number, delay) in ["0", "0.01", "0.03", "0.06", "0.1", "0.15", "0.2", "0.3", "0.5", "0.8"].iter().enumerate() {
        expected.push(push(&server, if number % 2 == 0 { "push good2" } else { "revert" }));
        let before = server.newest();
        server.ok(&format!(
            "tsh-agent push-hint tsh-erp && sleep {delay} && kill -KILL $(systemctl show -P MainPID tsh-agent)"
        ));
        let id = server.begun(before);
        assert_eq!(server.settled(id), Verdict::Deployed, "after {delay} s");
        quiet(&server);
        assert_eq!(since_the_start(&server), expected, "after {delay} s");
    }
}

/// A server that takes GitHub's webhooks.
fn with_webhook() -> Server {
    let server = Server::ready();
    server.set("webhook", "\"github\"");
    server.agent("init tsh-erp").ok();
    server
}

/// What the network face answers to a webhook about this commit.
fn hook(server: &Server, rest: &str) -> String {
    server.ok(&format!("/opt/tests-lab/forge {rest}"))
}

#[test]
fn a_webhook_makes_a_push_live_and_an_old_one_nothing() {
    let server = with_webhook();
    let revision = push(&server, "push good2");
    let old = server.tip("v/slow-build");
    assert!(hook(&server, &format!("{revision} first guessed")).starts_with("403 "));
    assert!(hook(&server, &format!("{revision} first")).starts_with("202 "));
    let id = server.begun(server.old().id);
    assert_eq!(server.settled(id), Verdict::Deployed);
    server.verify_live(&Release { id, revision: revision.clone() });
    let view = server.show(id);
    assert_eq!(view.by, "github dana");
    assert!(matches!(view.trigger, Trigger::Webhook { .. }), "{:?}", view.trigger);
    // Again, under another name, and for what is somewhere in the repository: the remote says what is deployed.
    for again in [format!("{revision} first"), format!("{revision} second"), format!("{old} third")] {
        assert!(hook(&server, &again).starts_with("202 "));
    }
    quiet(&server);
    assert_eq!(server.newest(), id);
    // With a new secret the old one is worth nothing.
    let secret =
        "tsh-agent webhook show --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"secret\"])'";
    let before = server.ok(secret);
    server.agent("webhook rotate").ok();
    assert_ne!(server.ok(secret), before);
    assert!(hook(&server, &format!("{old} fourth '{before}'")).starts_with("403 "));
    assert!(hook(&server, &format!("{old} fourth")).starts_with("202 "));
}

/// What a program with this key is told.
fn ask(server: &Server, key: &str, rest: &str) -> serde_json::Value {
    let curl = "curl -sS --unix-socket /run/tsh-agent-webhook.sock";
    let said = server.ok(&format!("{curl} -H 'Authorization: Bearer {key}' {rest}"));
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn a_ci_job_asks_for_a_commit_and_learns_how_it_ended() {
    let server = Server::ready();
    let key = server.agent("key add ci --allow deploy,read").ok();
    let reader = server.agent("key add dashboard --allow read").ok();
    let order = |key: &str, revision: &str| {
        let body = format!("-H 'Content-Type: application/json' -d '{{\"revision\":\"{revision}\"}}'");
        ask(&server, key, &format!("{body} http://localhost/v1/apps/tsh-erp/deployments"))
    };
    let end = |said: &serde_json::Value| {
        let path = said["url"].as_str().unwrap_or_else(|| panic!("{said}"));
        until("it has ended", seconds(300), || {
            let said = ask(&server, &reader, &format!("'http://localhost{path}?wait=50'"));
            (said["final"] == true).then_some(said)
        })
    };
    let good = push(&server, "push good2");
    // Who may only read, who has no key, and what nobody has reviewed start nothing.
    assert_eq!(order(&reader, &good)["error"], "the key is not known, or not for this");
    assert_eq!(order("tsh_guessed", &good)["error"], "the key is not known, or not for this");
    let said = end(&order(&key, &good));
    assert_eq!((&said["state"], &said["exit"]), (&"deployed".into(), &0.into()), "{said}");
    let id = u32::try_from(said["deployment"].as_u64().unwrap()).unwrap();
    server.verify_live(&Release { id, revision: good });
    assert_eq!(server.show(id).by, "key ci");
    let aside = end(&order(&key, &server.tip("v/slow-start")));
    assert_eq!((&aside["state"], &aside["exit"]), (&"failed".into(), &1.into()), "{aside}");
    assert!(aside["note"].as_str().unwrap().contains("is not part of the branch main"), "{aside}");
    let bad = push(&server, "push dies-at-import");
    let said = end(&order(&key, &bad));
    assert_eq!((&said["state"], &said["exit"]), (&"rolled-back".into(), &3.into()), "{said}");
    // The key is in no file and in no line of the journal; without it nothing is told any more.
    let found =
        server.sh(&format!("grep -rlF {key} /var/lib/tsh-agent /etc /run/tsh-agent; journalctl -b | grep -F {key}"));
    assert_eq!(found.out, "", "the key is there");
    assert!(server.agent("key list").ok().contains("deploy,read"));
    server.agent("key remove ci").ok();
    assert_eq!(order(&key, &bad)["error"], "the key is not known, or not for this");
    assert_ne!(server.sh_as("olga", "tsh-agent key add mine --allow deploy").code, 0);
}

#[test]
fn the_network_face_may_do_nothing_but_say_that_something_was_pushed() {
    let server = with_webhook();
    let user = "tsh-agent-webhook";
    let call = "busctl call sale.tsh.Agent1 /sale/tsh/Agent1";
    for line in [
        format!("{call} sale.tsh.Agent1 Deploy 'ssa{{sv}}' tsh-erp '' 0"),
        format!("{call} sale.tsh.Agent1 History su '' 5"),
        format!("{call} org.freedesktop.DBus.Introspectable Introspect"),
        "systemctl --no-ask-password start tsh-agent-ask@tsh-erp.service".to_owned(),
        "cat /etc/tsh-agent/credentials/tsh-erp.webhook".to_owned(),
        "cat /etc/tsh-agent/apps/tsh-erp.env".to_owned(),
        "ls /var/lib/tsh-agent".to_owned(),
    ] {
        assert_ne!(server.sh_as(user, &line).code, 0, "{line}");
    }
    // What it says is a hint, and of a kind that the settings name.
    let push = |hint: &str| server.sh_as(user, &format!("{call} sale.tsh.Agent1.Face Push 'sa{{sv}}' tsh-erp {hint}"));
    assert_ne!(push("1 forge s gitlab").code, 0);
    assert_ne!(push("0").code, 0);
    assert_ne!(push("2 forge s github by s root").code, 0);
    push("1 forge s github").ok();
    quiet(&server);
    assert_eq!(server.newest(), server.old().id);
    // It sees nothing of the agent's from where it is.
    hook(&server, &server.tip("main"));
    let inside = "nsenter -t $(systemctl show -P MainPID tsh-agent-webhook) -m -n --";
    let state = "test -e /var/lib/tsh-agent/state.db";
    assert_eq!((server.sh(state).code, server.sh(&format!("{inside} {state}")).code), (0, 1));
    // Netlink tells of the namespace; the files in /sys may be those of whoever has mounted them.
    let links = server.ok(&format!("{} ip -o link", inside.replace("-m -n", "-n")));
    assert!(links.starts_with("1: lo:") && links.lines().count() == 1, "{links}");
}

/// What broke is not tried again by itself, and after a rollback whatever comes by itself waits for a person.
#[test]
fn a_broken_push_is_rolled_back_once_and_the_next_one_waits_for_resume() {
    let server = with_hook();
    let broken = push(&server, "push dies-at-import");
    let id = server.begun(server.old().id);
    assert_eq!(server.settled(id), Verdict::RolledBack);
    quiet(&server);
    server.ok("runuser -u git -- tsh-agent push-hint tsh-erp");
    quiet(&server);
    assert_eq!(server.newest(), id, "it was tried again");
    server.verify_live(server.old());
    assert!(server.agent("where").out.contains("1 revision is quarantined"));
    let good = push(&server, "revert");
    let next = server.begun(id);
    let waits = server.held(next);
    assert!(waits.starts_with(&format!("pause: paused: deployment {id} of {}", &broken[..8])), "{waits}");
    server.verify_live(server.old());
    server.agent("resume").ok();
    assert_eq!(server.settled(next), Verdict::Deployed);
    server.verify_live(&Release { id: next, revision: good });
}

/// While the remote cannot be asked, a push waits, and says for what.
#[test]
#[ignore = "scripts/test --full runs it"]
fn a_push_waits_for_a_remote_that_is_away() {
    let server = with_hook();
    server.ok("systemctl stop ssh");
    push(&server, "push good2");
    let waits = until("it is known that the remote is away", seconds(30), || {
        server.status().pushes.pop().map(|push| push.note).filter(|note| note.contains("cannot be reached"))
    });
    assert!(waits.contains("127.0.0.1"), "{waits}");
    server.ok("systemctl start ssh");
    let id = until("it is asked again", seconds(60), || Some(server.newest()).filter(|id| *id > server.old().id));
    assert_eq!(server.settled(id), Verdict::Deployed);
    assert!(server.ok(&format!("cat {SETTINGS}")).contains("users = [\"git\"]"));
}
