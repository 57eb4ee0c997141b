//! Who may not do what.

use crate::harness::state::Server;

/// Refused, and not for a reason of the test's own making.
#[track_caller]
fn refused(server: &Server, user: &str, line: &str) {
    let said = server.sh_as(user, line);
    let words =
        ["denied", "not permitted", "Read-only", "refused", "not authorized", "not allowed", "authentication required"];
    let text = format!("{}{}", said.out, said.err).to_lowercase();
    assert!(said.code != 0, "{user} may: {line}\n{text}");
    assert!(
        words.iter().any(|word| text.contains(&word.to_lowercase())),
        "{user}: {line}: fails, but not refused:\n{text}"
    );
}

#[test]
fn nobody_may_ask_for_anything() {
    let server = Server::ready();
    for verb in ["deploy", "status", "rollback", "history", "abort 1", "show 1", "logs 1"] {
        let said = server.sh_as("nobody", &format!("tsh-agent {verb}"));
        assert_eq!(said.code, 6, "{verb}: {said:?}");
        assert_eq!(said.errors(), 1, "{verb}: {said:?}");
    }
    let raw = "busctl call sale.tsh.Agent1 /sale/tsh/Agent1 sale.tsh.Agent1 Deploy 'ssa{sv}' tsh-erp '' 0";
    refused(&server, "nobody", raw);
    refused(&server, "deploy", raw);
    assert_eq!(server.newest(), server.old().id);
}

#[test]
fn the_core_may_do_nothing_but_its_work() {
    let server = Server::ready();
    let user = "tsh-agent";
    refused(&server, user, "systemctl --no-ask-password restart ssh.service");
    refused(&server, user, "systemctl --no-ask-password stop postgresql.service");
    refused(&server, user, "systemctl --no-ask-password enable tsh-agent-build@other.service");
    refused(&server, user, "systemctl --no-ask-password daemon-reload");
    refused(&server, user, "systemd-run --no-ask-password /usr/bin/true");
    let transient = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager \
        StartTransientUnit 'ssa(sv)a(sa(sv))' x.service fail 1 ExecStart 'a(sasb)' 1 /usr/bin/true 1 /usr/bin/true false 0";
    refused(&server, user, transient);
    refused(&server, user, "touch /etc/x");
    refused(&server, user, "echo x >> /etc/tsh-agent/apps/tsh-erp.toml");
    refused(&server, user, "cat /etc/tsh-agent/apps/tsh-erp.env");
    refused(&server, user, "touch /srv/tsh-erp/releases/x");
    refused(&server, user, "echo x >> /srv/tsh-erp/current/erp/main.py");
    // The service is shut in as well: from its own namespaces not even its user's files elsewhere can be written.
    let core = "nsenter -t $(systemctl show -P MainPID tsh-agent) -m -- touch /etc/x";
    assert!(server.sh(core).err.contains("Read-only"), "the core's view of /etc is writable");
}

#[test]
fn a_sealed_release_cannot_be_changed() {
    let server = Server::ready();
    for user in ["deploy", "tsh-agent-build", "tsh-agent-fetch", "tsh-agent-migrate", "tsh-agent", "olga"] {
        for file in ["erp/main.py", ".venv/bin/python", ".venv/pyvenv.cfg"] {
            let path = format!("/srv/tsh-erp/current/{file}");
            refused(&server, user, &format!("test ! -L {path} && echo x >> {path} || rm {path}"));
        }
        refused(&server, user, "touch /srv/tsh-erp/current/new");
        refused(&server, user, "mv /srv/tsh-erp/releases/1 /srv/tsh-erp/releases/2");
        if user != "tsh-agent" {
            refused(&server, user, "ln -sfn /tmp /srv/tsh-erp/links/current");
        }
    }
}

#[test]
fn the_build_sees_neither_secrets_nor_releases() {
    let server = Server::ready();
    for file in
        ["/etc/tsh-agent/apps/tsh-erp.env", "/etc/tsh-agent/credentials/tsh-erp.key", "/var/lib/tsh-agent/state.db"]
    {
        refused(&server, "tsh-agent-build", &format!("cat {file}"));
        refused(&server, "deploy", &format!("cat {file}"));
    }
}
