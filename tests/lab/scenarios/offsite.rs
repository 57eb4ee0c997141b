//! Backups get away from the server, and a server that has nothing is made again from there.

use crate::harness::agent::SETTINGS;
use crate::harness::machine::Machine;
use crate::harness::state::{Server, install};
use crate::harness::store::Store;
use crate::harness::verify::live_release;
use crate::harness::wait::{seconds, until};
use crate::harness::writer::{self, FILE, Writer};

const README: &str = include_str!("../../../README.md");
/// A file that is carried in four parts.
const LARGE: u64 = 60_000_000;

/// A server whose backups are encrypted and carried to a store, and both keys to them.
fn scene() -> (Server, Store) {
    let server = Server::ready();
    let store = Store::start(&server);
    server.ok("umask 077; tsh-agent backup key > /root/key; grep '^AGE-SECRET-KEY' /root/key > /root/escrow");
    let recipients = server.ok("grep -oE '\"age1[a-z0-9]+\"' /root/key | paste -sd,");
    server.set("encrypt_to", &format!("[{recipients}]"));
    let (endpoint, secret) = (&store.endpoint, &store.credentials);
    server.ok(&format!(
        "umask 077; cat > /etc/tsh-agent/credentials/tsh-erp.offsite <<'END'\n{secret}\nEND\n
         cat >> {SETTINGS} <<'END'\n[offsite]\nurl = \"s3://backups/erp\"\nendpoint = \"{endpoint}\"
         credentials = \"/etc/tsh-agent/credentials/tsh-erp.offsite\"\nEND\n
         tsh-agent init tsh-erp"
    ));
    (server, store)
}

/// The newest backup, as `backup list` has it.
fn newest(server: &Machine) -> serde_json::Value {
    let rows: serde_json::Value = serde_json::from_str(&server.agent("backup list --json").ok()).unwrap();
    rows[0].clone()
}

/// But for their state: the worker of the restored server goes on with them.
fn orders(server: &Machine) -> String {
    server.ok("runuser -u postgres -- psql -XAtd tsh_erp -c 'select ref, customer_id, amount from orders order by ref'")
}

fn uploads(server: &Machine) -> String {
    server.ok("cd /srv/tsh-erp/shared/uploads && find . -type f -exec sha256sum {} + | sort")
}

/// The commands of the section, in order.
fn commands() -> Vec<String> {
    let section = README.split("## Restore on a server that has nothing else").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter_map(|line| line.strip_prefix("       "));
    lines.map(|line| line.split("  #").next().unwrap().trim().to_owned()).collect()
}

#[test]
fn a_server_that_has_nothing_is_made_again_from_off_site_as_the_readme_says() {
    let (server, store) = scene();
    server.ok("cd /srv/tsh-erp/shared/uploads && head -c 3000000 /dev/urandom > scan.pdf && chown deploy: scan.pdf");
    let writer = Writer::start(&server);
    writer::progress(&server, writer::acknowledged(&server) + 20);
    drop(writer);
    let (before, files, old) = (orders(&server), uploads(&server), live_release(&server));
    let acknowledged = server.ok(&format!("cat {FILE}"));
    // As the timer does it.
    server.ok("systemctl start tsh-backup@tsh-erp");
    until("the backup is off-site", seconds(120), || newest(&server)["offsite"].as_bool().filter(|away| *away));
    assert!(server.agent("backup list").out.contains("proven  sent"));

    // What a person has elsewhere. The rest is gone.
    let kept = ["tsh-erp.toml", "tsh-erp.env"].map(|name| format!("apps/{name}"));
    let kept = [&kept[..], &["credentials/tsh-erp.offsite".to_owned()]].concat();
    let kept: Vec<_> = kept
        .iter()
        .map(|name| (format!("/etc/tsh-agent/{name}"), server.ok(&format!("cat /etc/tsh-agent/{name}"))))
        .chain([("/etc/tsh-agent/credentials/tsh-erp.age".to_owned(), server.ok("cat /root/escrow"))])
        .collect();
    server.lab("reset", &[]).ok();
    assert_eq!(server.sh("ls -d /var/backups/tsh-agent /srv/tsh-erp /etc/tsh-agent").code, 2, "something is left");
    for (path, text) in &kept {
        server.ok(&format!("umask 077; install -d -m 0755 $(dirname {path}); cat > {path} <<'END'\n{text}\nEND\n"));
    }
    server.ok("chmod 644 /etc/tsh-agent/apps/tsh-erp.toml");
    install(&server);
    assert_eq!(server.ok("runuser -u postgres -- psql -XAtd tsh_erp -c '\\dt' 2>&1"), "Did not find any relations.");

    let (mut name, mut revision) = (String::new(), String::new());
    let told = commands();
    assert!(told.len() >= 7, "{told:?}");
    for command in told {
        let command = command.replace("<app>", "tsh-erp").replace("<database>", "tsh_erp").replace("<user>", "deploy");
        let command = command.replace("NAME", &name).replace("REVISION", &revision);
        let said = server.sh(&format!("set -o pipefail; cd /tmp; {command}"));
        assert_eq!(said.code, 0, "{command}: {said:?}");
        if command.contains("backup fetch") {
            name = said.out.split_whitespace().nth(1).unwrap().to_owned();
            assert_eq!(newest(&server)["level"], "written", "it was proven elsewhere, and not here");
            revision = server.ok(&format!(
                "tsh-agent backup show {name} --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"manifest\"][\"revision\"])'"
            ));
        }
    }
    assert_eq!(newest(&server)["level"], "matched");
    assert_eq!(revision, old.revision);
    assert_eq!(live_release(&server).revision, old.revision);
    assert_eq!(orders(&server), before);
    assert!(
        acknowledged.lines().all(|order| before.contains(order)),
        "the backup was older than what was acknowledged"
    );
    assert_eq!(uploads(&server), files);
    drop(Writer::start(&server));
    drop(store);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn what_was_interrupted_is_told_and_gone_on_with() {
    let (server, store) = scene();
    server.ok(&format!("head -c {LARGE} /dev/urandom > /srv/tsh-erp/shared/uploads/large"));
    // The step is killed in the middle of the third part.
    store.hold_after(40_000_000);
    let client = server.begin("backup now");
    store.is_held();
    server.ok("systemctl kill -s KILL tsh-agent-offsite@tsh-erp");
    let said = client.finish();
    store.release();
    assert!(said.code == 0 && said.out.contains("is proven"), "the backup is no worse for it: {said:?}");
    assert!(said.out.contains("NOT off-site"), "{said:?}");
    assert_eq!(newest(&server)["offsite"], false);
    server.ok("journalctl -b -u tsh-agent --no-pager | grep -q 'are not all off-site'");

    let before = store.carried();
    // This time the core dies meanwhile, and the connection; the step goes on by itself.
    store.hold_after(10_000_000);
    let client = server.begin("backup push");
    store.is_held();
    server.ok("systemctl kill -s KILL tsh-agent");
    store.release();
    let said = client.finish();
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(newest(&server)["offsite"], true);
    let again = store.carried() - before;
    assert!(again < LARGE - 16_000_000, "{again} bytes were carried again");

    // A store that is gone is told with one error, and what a deployment needs it does not wait for.
    drop(store);
    server.agent("deploy v/additive").ok();
    let said = server.agent("backup push");
    assert!(said.code == 1 && said.errors() == 1 && said.err.contains("cannot be reached"), "{said:?}");
}
