//! Who is told of deployments: once the network is there, also after a power cut, and never at their cost.

use tsh_agent::model::outcome::Verdict;

use crate::harness::agent::SETTINGS;
use crate::harness::machine::Machine;
use crate::harness::state::Server;
use crate::harness::verify::live_release;
use crate::harness::wait::{seconds, until};

const TOLD: &str = "/root/told";

/// Settings with a messenger, a forge and mail; a sendmail that writes down what it gets.
fn with_notices(server: &Server) {
    server.ok(&format!(
        "set -e; cd /etc/tsh-agent/credentials; umask 077; echo secret > hook; echo token > forge
        install -d -o tsh-agent-notify /var/spool/letters
        printf '%s\\n' '#!/bin/sh' 'cat > /var/spool/letters/$$' > /usr/sbin/sendmail; chmod 755 /usr/sbin/sendmail
        cat >> {SETTINGS} <<'END'

[[notices.webhook]]
name = \"hook\"
url = \"http://127.0.0.1:9099/hook\"
secret = \"/etc/tsh-agent/credentials/hook\"
on = [\"accepted\", \"deployed\", \"rolled-back\"]
[[notices.github]]
name = \"forge\"
url = \"http://127.0.0.1:9099\"
repository = \"o/erp\"
secret = \"/etc/tsh-agent/credentials/forge\"
[[notices.mail]]
name = \"mail\"
to = [\"ops@example.com\"]
END
        tsh-agent init tsh-erp"
    ));
}

fn listen(machine: &Machine) {
    machine.ok(&format!(
        "systemd-run -q --unit=listener --collect /opt/tests-lab/listener 9099 {TOLD}
        for i in $(seq 100); do ss -ltn | grep -q :9099 && exit 0; sleep 0.05; done; exit 1"
    ));
}

/// The bodies that reached the listener at this path.
fn told(machine: &Machine, path: &str) -> Vec<serde_json::Value> {
    let lines = machine.sh(&format!("cat {TOLD}")).out;
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let of = lines.filter(|line| line["line"].as_str().unwrap().starts_with(path));
    of.map(|line| serde_json::from_str(line["body"].as_str().unwrap()).unwrap_or_default()).collect()
}

fn states(machine: &Machine, path: &str) -> Vec<String> {
    told(machine, path).iter().map(|body| body["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn everybody_is_told_and_a_silent_network_costs_nothing() {
    let server = Server::ready();
    with_notices(&server);
    listen(&server);
    server.agent("deploy v/good2").ok();
    let first = server.newest();
    until("the hook knows of the end", seconds(30), || {
        (states(&server, "POST /hook") == ["accepted", "deployed"]).then_some(())
    });
    until("the forge knows of the end", seconds(30), || {
        (states(&server, "POST /repos/o/erp/deployments/7/statuses") == ["in_progress", "success"]).then_some(())
    });
    let letter = until("a letter was written", seconds(30), || {
        Some(server.sh("cat /var/spool/letters/* 2>/dev/null").out).filter(|text| !text.is_empty())
    });
    assert!(letter.contains(&format!("Subject: [production] deployment {first} of tsh-erp deployed")), "{letter}");
    let body = &told(&server, "POST /hook")[1];
    assert_eq!((body["deployment"].as_u64(), body["kind"].as_str()), (Some(first.into()), Some("deploy")));
    // The same words in the journal.
    let line = server.ok(&format!("journalctl -o cat TSH_DEPLOYMENT={first} _SYSTEMD_UNIT=tsh-agent.service"));
    assert!(line.contains(body["text"].as_str().unwrap()), "{line}");
    assert_eq!(server.sh("runuser -u nobody -- ls /run/tsh-agent-notify").code, 2, "others can read what is told");

    // Nobody listens: the deployment ends as it must, then the power is cut, and the end is told all the same.
    server.ok("systemctl stop listener");
    let good = live_release(&server);
    assert_eq!(server.agent("deploy v/dies-at-import").code, 3);
    let id = server.newest();
    assert_eq!(server.show(id).verdict, Some(Verdict::RolledBack));
    server.verify_live(&good);
    server.crash();
    server.up();
    listen(&server);
    until("the forge knows of the second end", seconds(90), || {
        states(&server, "POST /repos/o/erp/statuses").last().filter(|state| *state == "failure").map(|_| ())
    });
    until("the hook knows of the second end", seconds(90), || {
        (states(&server, "POST /hook").last().map(String::as_str) == Some("rolled-back")).then_some(())
    });
    until("nothing waits any more", seconds(30), || {
        let waits = server.show(id).notices.iter().flat_map(|told| &told.deliveries).any(|one| one.state == "waiting");
        (!waits).then_some(())
    });
}
