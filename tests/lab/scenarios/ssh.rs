//! An operator far away.

use tsh_agent::model::outcome::Verdict;

use crate::harness::state::Server;
use crate::harness::wait::{seconds, until};
use crate::harness::writer::Writer;

/// As olga, over ssh, with a terminal of her own.
const SSH: &str = "exec ssh -tt -i /root/olga -o StrictHostKeyChecking=no -o BatchMode=yes olga@127.0.0.1";

#[test]
fn an_operator_deploys_over_ssh() {
    let server = Server::ready();
    let said = server.sh(&format!("{SSH} tsh-agent deploy v/good2"));
    assert_eq!(said.code, 0, "{said:?}");
    server.verify(server.newest(), Verdict::Deployed);
    let row = server.history().remove(0);
    assert!(row.by.contains("olga"), "{row:?}");
}

fn cut(branch: &str, verdict: Verdict) {
    let server = Server::ready();
    let writer = Writer::start(&server);
    let mut client = server.spawn(&["bash", "-c", &format!("{SSH} tsh-agent deploy {branch}")]);
    let id = server.begun(server.old().id);
    // In the middle: the door is closed, the units are down or about to be.
    until("production is touched", seconds(60), || {
        server.show(id).steps.iter().any(|step| step.step.touches()).then_some(())
    });
    server.ok("pkill -KILL -u olga sshd; pkill -KILL -f '^ssh -tt' || true");
    client.wait().unwrap();
    assert_eq!(server.settled(id), verdict);
    server.verify(id, verdict);
    server.verify_rows(writer);
}

#[test]
fn a_cut_connection_does_not_change_a_good_deployment() {
    cut("v/breaking", Verdict::Deployed);
}

#[test]
fn a_cut_connection_does_not_change_a_bad_deployment() {
    cut("v/breaking-dies-at-import", Verdict::RolledBack);
}
