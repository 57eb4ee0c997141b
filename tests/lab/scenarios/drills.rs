//! Something is broken at three in the morning. For each: what the operator types, what the answer names, and a command
//! out of the answer that is then typed as it stands.

use tsh_agent::model::finding::{Finding, Level};

use crate::harness::state::Server;
use crate::harness::wait::{seconds, until};

struct Drill {
    /// What breaks it; shell, as root.
    broken: &'static str,
    /// What else than `check` the operator types, with its exit code and words of its answer.
    typed: Option<(&'static str, i32, &'static [&'static str])>,
    /// Words of the finding that names the cause.
    cause: &'static str,
    /// Whether the command mends it, or only shows more: then what mends it.
    then: Option<&'static str>,
}

const FORGE: &str = "runuser -u git -- sed -i";

fn check(server: &Server) -> (i32, Vec<Finding>) {
    let said = server.agent("check --json");
    let findings = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    (said.code, findings)
}

/// The command of an answer: up to where it goes on in words.
fn command(mend: &str) -> String {
    mend.split(", and ")
        .next()
        .unwrap()
        .split(", FILE")
        .next()
        .unwrap()
        .split("; journalctl")
        .next()
        .unwrap()
        .to_owned()
}

fn drill(drill: &Drill) {
    let server = Server::ready();
    server.ok(drill.broken);
    if let Some((typed, code, words)) = drill.typed {
        let said = server.agent(typed);
        let text = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, code, "{typed}\n{text}");
        assert!(words.iter().all(|word| text.contains(word)), "{typed}: not all of {words:?} in\n{text}");
    }
    let found = until("check names the cause", seconds(30), || {
        let (code, findings) = check(&server);
        let bad = findings.into_iter().find(|found| found.level == Level::Bad && found.what.contains(drill.cause));
        bad.map(|found| (code, found))
    });
    assert_eq!(found.0, 1, "something bad is exit code 1");
    let mend = found.1.mend.unwrap_or_else(|| panic!("no command for: {}", found.1.what));
    eprintln!("{}\n  → {mend}", found.1.what);
    match drill.then {
        None => drop(server.ok(&command(&mend).replace("FILE", "/root/file"))),
        Some(then) => {
            // It shows more, and may end in an error that is the very answer.
            assert_ne!(server.sh(&command(&mend)).code, 127, "there is no such command: {mend}");
            server.ok(then);
        }
    }
    // What the first command made possible, the next findings ask for: starting, mostly.
    until("all is well again", seconds(60), || {
        let (code, findings) = check(&server);
        for found in findings.iter().filter(|found| found.level == Level::Bad && found.area == "unit") {
            server.sh(&command(found.mend.as_deref().unwrap_or("true")));
        }
        (code == 0).then_some(())
    });
    server.verify_live(server.old());
}

#[test]
fn a_unit_is_masked() {
    drill(&Drill {
        broken: "u=tsh-erp-worker.service; mv /etc/systemd/system/$u /usr/lib/systemd/system/; systemctl daemon-reload; systemctl -q mask --now $u",
        typed: None,
        cause: "is masked, so nothing can start it",
        then: None,
    });
}

#[test]
fn the_database_is_down() {
    drill(&Drill {
        broken: "systemctl stop postgresql 'postgresql@*'",
        typed: Some(("deploy --force", 1, &["database"])),
        cause: "database",
        then: None,
    });
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_port_is_taken() {
    drill(&Drill {
        broken: "systemctl stop tsh-erp; systemd-run -q --unit=squatter python3 -m http.server 8000 --bind 127.0.0.1
            while ! ss -Hltn 'sport = :8000' | grep -q .; do :; done",
        typed: None,
        cause: "of squatter.service), not by tsh-erp.service",
        then: None,
    });
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_disk_is_full() {
    drill(&Drill {
        broken: "d=/var/lib/tsh-agent-build/tsh-erp; mount -t tmpfs -o size=8m,uid=$(stat -c %u $d),gid=$(stat -c %g $d),mode=$(stat -c %a $d) tmpfs $d",
        typed: Some(("deploy --force", 1, &["free"])),
        cause: "are free at /var/lib/tsh-agent-build/tsh-erp",
        then: Some("umount /var/lib/tsh-agent-build/tsh-erp"),
    });
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_remote_is_gone() {
    drill(&Drill {
        broken: "systemctl stop ssh.service ssh.socket 2>/dev/null; true",
        typed: Some(("deploy --force", 1, &["127.0.0.1"])),
        cause: "127.0.0.1:22",
        then: Some("systemctl start ssh"),
    });
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_key_has_expired() {
    let broken = format!("{FORGE} 's|^restrict|expiry-time=\"20200101\",&|' /srv/git/.ssh/authorized_keys");
    drill(&Drill {
        broken: broken.leak(),
        typed: Some(("deploy --force", 1, &["key"])),
        cause: "the forge refuses it",
        then: Some("sed -i 's|^expiry-time=[^,]*,||' /srv/git/.ssh/authorized_keys"),
    });
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_environment_is_missing() {
    drill(&Drill {
        broken: "mv /etc/tsh-agent/apps/tsh-erp.env /root/file; systemctl restart tsh-erp; true",
        typed: None,
        cause: "tsh-erp.env is not there",
        then: None,
    });
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_worker_runs_out_of_memory() {
    drill(&Drill {
        broken: "systemctl set-property --runtime tsh-erp-worker.service MemoryMax=12M; systemctl restart tsh-erp-worker; true",
        typed: None,
        cause: "was killed because memory was short: it may have 12 MiB",
        then: Some(
            "systemctl set-property --runtime tsh-erp-worker.service MemoryMax=512M; systemctl restart tsh-erp-worker",
        ),
    });
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_clock_was_set_back() {
    // The clock of the machine is this computer's; so the last deployment is moved instead.
    let hour = |sign: &str| {
        format!(
            "systemctl stop tsh-agent; python3 -c 'import sqlite3; c = sqlite3.connect(\"/var/lib/tsh-agent/state.db\"); \
            c.execute(\"update deployments set ended = ended {sign} 3600000\"); c.commit()'; chown tsh-agent: /var/lib/tsh-agent/*; systemctl start tsh-agent"
        )
    };
    drill(&Drill {
        broken: hour("+").leak(),
        typed: None,
        cause: "minutes behind: the last deployment ended later than now",
        then: Some(hour("-").leak()),
    });
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn the_agent_is_stopped() {
    drill(&Drill {
        broken: "systemctl -q mask --now tsh-agent.service",
        typed: Some(("status", 1, &["not running", "systemctl"])),
        cause: "tsh-agent.service is masked",
        then: None,
    });
}
