//! What stands in the way of a deployment, who takes it away, and what is left of that.

use serde_json::json;
use tsh_agent::model::outcome::Verdict;

use super::push::{push, quiet, with_hook};
use crate::forge::{Forge, github_check, gitlab};
use crate::harness::agent::SETTINGS;
use crate::harness::machine::Machine;
use crate::harness::state::Server;
use crate::harness::verify::Release;
use crate::harness::wait::{seconds, until};

/// Orders a deployment in the background; its number.
fn order(server: &Server, rest: &str) -> u32 {
    let before = server.newest();
    server.agent(&format!("deploy {rest} --detach")).ok();
    server.begun(before)
}

#[test]
fn a_lock_and_what_waits_for_it_outlive_the_core_and_the_machine() {
    let server = Server::ready();
    server.agent("lock -m stocktaking").ok();
    let waits = order(&server, "v/good2");
    let lock = |said: String| assert!(said.contains("locked by root") && said.contains("stocktaking"), "{said}");
    lock(server.held(waits));
    assert_eq!(server.agent("where").code, 6);
    server.ok("systemctl restart tsh-agent");
    lock(server.held(waits));
    server.crash();
    server.up();
    lock(server.held(waits));
    assert_eq!(server.newest(), waits);
    // A person who says why goes on; what waited makes way.
    server.agent("deploy v/good2 --override lock --reason 'the shop is down'").ok();
    assert_eq!(server.show(waits).verdict, Some(Verdict::Superseded));
    let new = Release { id: waits + 1, revision: server.tip("v/good2") };
    server.verify_live(&new);
    for verb in [format!("show {}", new.id), "audit".to_owned()] {
        let said = server.agent(&verb).ok();
        assert!(said.contains("overrid") && said.contains("the shop is down"), "{said}");
    }
    // Going back is asked by no gate.
    assert_eq!(server.agent("where").code, 6);
    server.agent("rollback").ok();
    server.verify_live(server.old());
    server.agent("unlock").ok();
    tampering_is_found(&server);
}

/// Root edits the file; each time another entry gives it away.
fn tampering_is_found(server: &Machine) {
    let edit = |sql: &str| {
        let connect = "import sqlite3, sys; db = sqlite3.connect('/var/lib/tsh-agent/state.db', timeout=20)";
        server.ok(&format!("python3 -c \"{connect}; db.executescript(sys.argv[1])\" \"{sql}\""));
    };
    let verify = || server.agent("audit verify");
    assert_eq!(verify().code, 0, "{:?}", verify());
    edit(
        "drop trigger audit_is_not_changed; drop trigger audit_is_not_removed; create table kept as select * from audit",
    );
    let entries: i64 = server.agent("audit verify").ok().split(' ').next().unwrap().parse().unwrap();
    for (what, sql, entry) in [
        ("another reason", "update audit set record = replace(record, 'the shop is down', 'all agreed')", None),
        ("one is missing", "delete from audit where seq = 3", Some(3)),
        ("the end is missing", "delete from audit where seq = (select max(seq) from audit)", Some(entries)),
        (
            "another order",
            "update audit set seq = -3 where seq = 3; update audit set seq = 3 where seq = 4; \
             update audit set seq = 4 where seq = -3",
            Some(3),
        ),
    ] {
        edit(sql);
        let said = verify();
        assert!(said.code == 4 && said.err.contains("the audit was tampered with"), "{what}: {said:?}");
        assert!(entry.is_none_or(|entry| said.err.contains(&format!("entry {entry}"))), "{what}: {said:?}");
        edit("delete from audit; insert into audit select * from kept");
        assert_eq!(verify().code, 0, "{what}");
    }
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn a_freeze_holds_a_deployment_until_it_is_taken_away_or_over() {
    let server = Server::ready();
    server.agent("freeze --until '2126-12-27 08:00' --reason 'year end'").ok();
    let id = order(&server, "v/good2");
    let waits = server.held(id);
    assert!(waits.starts_with("freeze: frozen by root until") && waits.ends_with("year end"), "{waits}");
    server.agent("unfreeze").ok();
    assert_eq!(server.settled(id), Verdict::Deployed);
    server.verify_live(&Release { id, revision: server.tip("v/good2") });
    server.agent("freeze --until 10s --reason 'a moment'").ok();
    let id = order(&server, "main");
    server.held(id);
    assert_eq!(server.settled(id), Verdict::Deployed, "nobody had to do anything");
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn an_approval_is_of_exactly_what_was_approved() {
    let server = with_hook();
    server.ok(&format!("printf '\\n[gates.approval]\\nrequired = [\"post-receive\"]\\n' >> {SETTINGS}"));
    let slow = push(&server, "push slow-build");
    let first = server.begun(server.old().id);
    let good = push(&server, "revert");
    assert_eq!(server.status().pushes.len(), 1, "it came while the first was built");
    // As soon as the first one only waits, it makes way.
    assert_eq!(server.settled(first), Verdict::Superseded);
    let second = server.begun(first);
    let waits = server.held(second);
    assert!(waits.contains(&format!("nobody has approved {} with no migration", &good[..8])), "{waits}");
    // Approved, and held back by something else until a migration comes.
    server.agent("lock -m 'not now'").ok();
    let olga = |verb: &str, id: u32| server.sh_as("olga", &format!("tsh-agent {verb} {id}"));
    olga("approve", second).ok();
    until("only the lock is in the way", seconds(20), || server.held(second).starts_with("lock").then_some(()));
    push(&server, "push additive");
    let third = server.begun(second);
    assert_eq!(server.settled(second), Verdict::Superseded);
    server.agent("unlock").ok();
    let waits = until("it is known what is pending", seconds(120), || {
        Some(server.held(third)).filter(|waits| waits.starts_with("approval"))
    });
    assert!(waits.contains("nobody has approved") && waits.contains("with migration 0003_additive"), "{waits}");
    let said = olga("approve", second);
    assert!(said.code == 1 && said.err.contains("does not wait for approval"), "{said:?}");
    server.verify_live(server.old());
    olga("approve", third).ok();
    assert_eq!(server.settled(third), Verdict::Deployed);
    quiet(&server);
    let audit = server.agent("audit").ok();
    assert!(audit.contains(&format!("approve {third} of tsh-erp: olga")), "{audit}");
    // A person may still deploy what was passed over.
    server.agent(&format!("deploy {slow} --detach")).ok();
}

/// A forge that is asked at port 9098 of the machine itself; what is passed on from there reaches this test.
fn forge_for(server: &Server) -> Forge {
    let ip = server.lab("ip", &[]).ok();
    let (net, host) = ip.rsplit_once('.').map(|(net, host)| (net, host.parse::<u8>().unwrap())).unwrap();
    let forge = Forge::at(&format!("{net}.{}", host - 1));
    server.ok(&format!(
        "systemd-run -q --unit=forge --socket-property=ListenStream=127.0.0.1:9098 \
            /lib/systemd/systemd-socket-proxyd {}",
        forge.address.trim_start_matches("http://")
    ));
    forge
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn only_what_staging_runs_well_goes_live_and_only_while_the_window_is_open() {
    let server = Server::ready();
    let forge = forge_for(&server);
    let (revision, other) = (server.tip("v/good2"), server.tip("v/breaking"));
    let staging = |revision: &str, status: &str| forge.has("/health", &json!({"revision": revision, "status": status}));
    let pipeline = |status: &str| {
        forge.has("/projects/acme%2Ferp/pipelines", &json!([gitlab(8, "", status, "2026-11-20T10:00:00Z")]));
    };
    forge.has(&format!("/projects/acme%2Ferp/repository/commits/{revision}/statuses"), &json!([]));
    pipeline("running");
    staging(&other, "ok");
    // The window is open from the next minute but one on.
    server.ok(&format!(
        "cat >> {SETTINGS} <<END

[gates.windows]
zone = \"UTC\"
open = [\"Mon..Sun $(date -u -d '+2 minutes' +%H:%M)-$(date -u -d '+3 hours' +%H:%M)\"]
[gates.forge]
kind = \"gitlab\"
repository = \"acme/erp\"
api = \"http://127.0.0.1:9098\"
[gates.ci]
checks = [\"pipeline\"]
every = \"1s\"
[gates.promotion]
url = \"http://127.0.0.1:9098/health\"
revision = \"/revision\"
json = {{ \"/status\" = \"ok\" }}
healthy = \"10s\"
every = \"1s\"
END"
    ));
    let id = order(&server, "v/good2");
    let waits = |what: &str| {
        until(what, seconds(150), || Some(server.held(id)).filter(|waits| waits.contains(what)));
    };
    waits("windows: closed until");
    server.ok("systemctl restart tsh-agent");
    waits("ci: pipeline is pending");
    pipeline("success");
    waits(&format!("promotion: there runs {}, not {}", &other[..8], &revision[..8]));
    staging(&revision, "degraded");
    waits("promotion: it is not well there");
    server.verify_live(server.old());
    staging(&revision, "ok");
    waits("promotion: runs well there only since");
    assert_eq!(server.settled(id), Verdict::Deployed);
    server.verify_live(&Release { id, revision });
}

#[test]
fn only_what_is_signed_and_checked_by_the_forge_goes_live() {
    let server = Server::ready();
    let forge = forge_for(&server);
    server.ok(&format!(
        "echo \"olga@example.org namespaces=\\\"git\\\" $(cat /root/olga.pub)\" > /etc/tsh-agent/allowed_signers
        cat >> {SETTINGS} <<'END'

[gates.signature]
[gates.forge]
kind = \"github\"
repository = \"acme/erp\"
api = \"http://127.0.0.1:9098\"
[gates.ci]
checks = [\"test\"]
every = \"1s\"
END
        tsh-agent init tsh-erp
        cd \"$(mktemp -d)\"; git clone -q /srv/git/erp.git .
        git config user.name Olga; git config user.email olga@example.org
        git config gpg.format ssh; git config user.signingkey /root/olga
        git checkout -q -b v/signed; git cherry-pick -S origin/v/good2 >/dev/null
        git push -q origin v/signed; chown -R git: /srv/git/erp.git"
    ));
    let said = server.agent("deploy v/good2");
    assert!(said.code == 6 && said.err.contains("it is not signed"), "{said:?}");
    let revision = server.tip("v/signed");
    let commit = format!("/repos/acme/erp/commits/{revision}");
    let has = |status: &str, conclusion: Option<&str>| {
        let run = github_check(7, "test", status, conclusion, "2026-11-20T10:00:00Z");
        forge.has(&format!("{commit}/check-runs"), &json!({"total_count": 1, "check_runs": [run]}));
    };
    forge.has(&format!("{commit}/check-runs"), &json!({"total_count": 0, "check_runs": []}));
    forge.has(&format!("{commit}/statuses"), &json!([]));
    let id = order(&server, "v/signed");
    assert_eq!(server.held(id), "ci: test is absent");
    has("in_progress", None);
    until("it is asked again", seconds(30), || (server.held(id) == "ci: test is pending").then_some(()));
    has("completed", Some("failure"));
    assert_eq!(server.settled(id), Verdict::Refused);
    server.verify_live(server.old());
    has("completed", Some("success"));
    server.agent("deploy v/signed").ok();
    server.verify_live(&Release { id: id + 1, revision });
}
