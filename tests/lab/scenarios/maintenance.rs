//! Maintenance: a person keeps people out, and nothing but a person lets them in.

use tsh_agent::model::outcome::Verdict;

use crate::harness::state::Server;
use crate::harness::wait::{seconds, until};

/// What people get from nginx: the status, and what it says.
fn people_get(server: &Server) -> (String, String) {
    let said = server.ok("curl -sS -m 5 -w '\\n%{http_code}' http://127.0.0.1/health");
    let (body, status) = said.rsplit_once('\n').unwrap();
    (status.to_owned(), body.trim().to_owned())
}

fn kept_out(server: &Server) {
    let (status, body) = people_get(server);
    assert_eq!((status.as_str(), body.contains("maintenance")), ("503", true), "{body}");
}

#[test]
fn what_a_person_closed_a_deployment_does_not_open() {
    let server = Server::ready();
    let said = server.sh_as("olga", "tsh-agent maintenance on --reason 'the disk is exchanged'");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("http://127.0.0.1/health answers 503"), "{said:?}");
    kept_out(&server);

    // The first is undone behind its own door, the second opens that.
    for (variant, verdict) in [("v/breaking-dies-at-import", Verdict::RolledBack), ("v/breaking", Verdict::Deployed)] {
        let said = server.agent(&format!("deploy {variant}"));
        assert_eq!(said.code, verdict.exit() as i32, "{said:?}");
        kept_out(&server);
        assert!(server.show(server.newest()).felt.is_none(), "who is kept out feels nothing of it");
    }
    let status = server.status();
    let maintenance = status.maintenance.expect("it is told");
    assert_eq!((maintenance.by.as_deref(), maintenance.closed), (Some("olga"), true));
    assert!(!status.door_closed, "the deployments opened their own");
    assert!(server.ok("tsh-agent audit").contains("maintenance on"), "it is on record");

    server.crash();
    server.up();
    until("nginx answers", seconds(30), || (server.sh("curl -s -m 5 http://127.0.0.1/health").code == 0).then_some(()));
    kept_out(&server);
    // Whoever deletes the file by hand is told; the core makes it good when it comes back.
    server.ok("rm /srv/tsh-erp/links/maintenance");
    assert!(server.agent("status").out.contains("nobody is kept out"));
    server.ok("systemctl kill -s KILL tsh-agent");
    until("the core closes again", seconds(20), || server.status().maintenance.filter(|now| now.closed));
    kept_out(&server);

    let said = server.sh_as("olga", "tsh-agent maintenance off");
    assert_eq!(said.code, 0, "{said:?}");
    until("people come in", seconds(20), || (people_get(&server).0 == "200").then_some(()));
    assert_ne!(server.agent("maintenance off").code, 0, "there is nothing to end");
}

#[test]
fn it_is_refused_where_nothing_would_keep_anybody_out() {
    let server = Server::ready();
    // A snippet that was written before there was maintenance.
    server.ok("sed -i '/maintenance/,/}/d' /etc/nginx/snippets/tsh-agent-tsh-erp.conf");
    let said = server.agent("maintenance on");
    assert!(said.code != 0 && said.err.contains("earlier version"), "{said:?}");
    server.ok("tsh-agent init tsh-erp");
    // nginx has the file and does not read it.
    server.ok("sed -i '/snippets.tsh-agent/d' /etc/nginx/sites-enabled/* && nginx -s reload");
    until("nginx lets everybody in", seconds(10), || {
        let said = server.agent("maintenance on");
        (said.code != 0 && said.err.contains("people are not kept out")).then_some(())
    });
    server.agent("maintenance off").ok();
    server.ok("rm /etc/nginx/snippets/tsh-agent-tsh-erp.conf");
    let said = server.agent("maintenance on");
    assert!(said.code != 0 && said.err.contains("has no door") && said.err.contains("init"), "{said:?}");
    assert_eq!(people_get(&server).0, "200");
}

/// No deployment of it ever closes a door, and a person may all the same.
#[test]
fn an_application_whose_deployments_need_no_door_has_one_too() {
    let server = Server::ready();
    server.ok("rm /etc/nginx/snippets/tsh-agent-tsh-erp.conf");
    server.set("lane", "\"stop\"");
    server.ok("tsh-agent init tsh-erp");
    let said = server.agent("maintenance on --reason 'the disk is exchanged'");
    assert_eq!(said.code, 0, "{said:?}");
    kept_out(&server);
    server.agent("maintenance off").ok();
    until("people come in", seconds(20), || (people_get(&server).0 == "200").then_some(()));
    // Where nginx does not read it, that is a warning, and nothing that keeps a deployment from being good.
    server.ok("sed -i '/snippets.tsh-agent/d' /etc/nginx/sites-enabled/* && nginx -s reload");
    let said = server.agent("check --json");
    assert!(said.out.contains("`maintenance on` would keep nobody out"), "{said:?}");
}
