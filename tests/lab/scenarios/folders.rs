//! The files that people put in belong to a backup.

use crate::harness::state::Server;

/// All that the application has, and whose it is not the agent's to read.
const FILES: &str = "set -e; cd /srv/tsh-erp/shared/uploads
    install -d -o deploy -g deploy -m 0700 2026
    runuser -u deploy -- sh -c 'umask 077; head -c 3000000 /dev/urandom > 2026/scan.pdf; echo hello > note.txt; cp note.txt same.txt'";

#[test]
fn uploads_of_any_mode_are_kept_proven_and_given_back() {
    let server = Server::ready();
    server.ok(FILES);
    let said = server.agent("backup now");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("3 files, 3000 kB"), "{said:?}");
    let name = server
        .ok("tsh-agent backup list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0][\"name\"])'");
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
