//! The files that people put in belong to a backup.

use crate::harness::state::Server;

/// All that the application has, and whose it is not the agent's to read.
const FILES: &str = "set -e; cd /srv/tsh-erp/shared/uploads
    install -d -o deploy -g deploy -m 0700 2026
    runuser -u deploy -- sh -c 'umask 077; head -c 3000000 /dev/urandom > 2026/scan.pdf; echo hello > note.txt; cp note.txt same.txt'";

/// The name of the newest backup.
fn newest(server: &Server) -> String {
    server.ok("tsh-agent backup list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0][\"name\"])'")
}

#[test]
fn an_encrypted_backup_is_proven_here_and_opened_elsewhere() {
    let server = Server::ready();
    server.ok(FILES);
    server.ok("umask 077; tsh-agent backup key > /root/key; grep '^AGE-SECRET-KEY' /root/key > /root/escrow");
    let recipients = server.ok("grep -oE '\"age1[a-z0-9]+\"' /root/key | paste -sd,");
    server.set("encrypt_to", &format!("[{recipients}]"));
    server.agent("init tsh-erp").ok();
    let said = server.agent("backup now");
    assert!(said.code == 0 && said.out.contains("is proven"), "{said:?}");
    let name = newest(&server);
    let readable = format!(
        "cd /var/backups/tsh-agent/tsh-erp; find {name} objects -type f | grep -v 'manifest.json\\|files.json\\|files.index' |
         while read -r file; do head -c 18 $file | grep -q '^age-encryption.org' || echo $file; done"
    );
    assert_eq!(server.ok(&readable), "", "something of it can be read");

    // What a server does that has nothing else: the escrow identity, and two commands.
    let agent = format!("tsh-agent backup cat --identity /root/escrow {name}");
    server.ok("mv /etc/tsh-agent/credentials/tsh-erp.age /root/");
    assert_ne!(server.agent(&format!("backup cat {name}")).code, 0, "it was read without an identity");
    server.ok("runuser -u postgres -- createdb again");
    server.ok(&format!("set -o pipefail; {agent} | runuser -u postgres -- pg_restore --exit-on-error -d again"));
    let count = |db: &str| server.ok(&format!("runuser -u postgres -- psql -XAtc 'select count(*) from orders' {db}"));
    assert_eq!(count("again"), count("tsh_erp"));
    server.ok(&format!("tsh-agent backup restore-files {name} --identity /root/escrow --to /root/back"));
    server.ok("diff -r /srv/tsh-erp/shared/uploads /root/back/uploads");

    // Without an identity here, a backup is made and not proven, and it is said.
    let said = server.agent("backup now");
    assert!(said.code == 0 && said.out.contains("no identity is here") && !said.out.contains("is proven"), "{said:?}");
    assert!(server.agent("backup list").out.contains("checksummed"));
}

#[test]
fn uploads_of_any_mode_are_kept_proven_and_given_back() {
    let server = Server::ready();
    server.ok(FILES);
    let said = server.agent("backup now");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("3 files, 3000 kB"), "{said:?}");
    let name = newest(&server);
    let shown = server.agent(&format!("backup show {name}"));
    assert!(shown.out.contains("3 of uploads, 3000 kB") && shown.out.contains(": proven"), "{shown:?}");

    server.ok(&format!("tsh-agent backup restore-files {name} --to /root/back"));
    server.ok("diff -r /srv/tsh-erp/shared/uploads /root/back/uploads");
    assert_ne!(server.agent(&format!("backup restore-files {name} --to /root/back")).code, 0, "it wrote over files");

    // The second one stores nothing twice.
    let said = server.agent("backup now");
    assert!(said.out.contains("3 files, 3000 kB; 0 B new"), "{said:?}");

    // What the step could do with its capability, it cannot see.
    for hidden in
        ["/etc/shadow", "/etc/tsh-agent/credentials", "/var/lib/tsh-agent", "/home/deploy", "/srv/git", "/root/olga"]
    {
        let program = format!("/bin/sh -c 'test ! -e {hidden}'");
        server.ok(&format!(
            "set -e; mkdir -p /run/systemd/system/tsh-agent-folders@tsh-erp.service.d
             printf '[Service]\\nExecStart=\\nExecStart=%s\\n' \"{program}\" > /run/systemd/system/tsh-agent-folders@tsh-erp.service.d/90-look.conf
             systemctl daemon-reload; systemctl stop tsh-agent-folders@tsh-erp; systemctl start tsh-agent-folders@tsh-erp"
        ));
    }
}
