//! PgBouncer between the application and PostgreSQL, with somebody besides the application who asks it all the time.

use std::process::Child;

use tsh_agent::model::lane::Lane;
use tsh_agent::model::outcome::Verdict::{self, Deployed, RolledBack};

use crate::harness::state::Server;
use crate::harness::verify::Release;
use crate::harness::wait::{seconds, until};
use crate::harness::writer::Writer;

/// The application's password comes from its environment.
const ENVIRONMENT: &str = "/etc/tsh-agent/apps/tsh-erp.env";

/// What the stranger met.
const MET: &str = "/tmp/met";

/// The application goes through PgBouncer, as Debian installs it.
fn pooled(mode: &str) -> Server {
    let server = Server::ready();
    server.ok(&format!(
        "set -e; umask 077; e={ENVIRONMENT}; cd /etc/pgbouncer
        printf '[databases]\\ntsh_erp = host=127.0.0.1\\n[pgbouncer]\\nlisten_addr = 127.0.0.1\\nlisten_port = 6432\\n\
            auth_type = scram-sha-256\\nauth_file = /etc/pgbouncer/userlist.txt\\npool_mode = {mode}\\n\
            logfile = /var/log/postgresql/pgbouncer.log\\npidfile = /run/postgresql/pgbouncer.pid\\n' > pgbouncer.ini
        sed -n 's|^DATABASE_URL=.*://tsh_erp:\\([^@]*\\)@.*|\"tsh_erp\" \"\\1\"|p' $e > userlist.txt
        chown postgres: *; systemctl start pgbouncer
        sed -i 's|@127.0.0.1/|@127.0.0.1:6432/|' $e; systemctl restart tsh-erp tsh-erp-worker"
    ));
    until("the application answers through PgBouncer", seconds(20), || {
        (server.sh("curl -sS --fail -m 5 http://127.0.0.1/health").code == 0).then_some(())
    });
    server
}

/// Asks PgBouncer all the time, door or not, as another program of the house would; until it is killed.
fn stranger(server: &Server) -> Child {
    let line = format!(
        "export PGPASSWORD=$(sed -n 's|^DATABASE_URL=.*://tsh_erp:\\([^@]*\\)@.*|\\1|p' {ENVIRONMENT})
        while :; do psql -XAtq -h 127.0.0.1 -p 6432 -U tsh_erp -c 'select 1' tsh_erp || echo refused; done >{MET} 2>&1"
    );
    server.spawn(&["bash", "-c", &line])
}

/// What `check` finds between the application and its database.
fn told(server: &Server) -> (String, String) {
    let said = server.agent("check --json");
    let all: Vec<tsh_agent::model::finding::Finding> = serde_json::from_str(&said.out).unwrap();
    let found = all.into_iter().find(|found| found.what.contains("PgBouncer")).unwrap();
    (format!("{:?}", found.level), found.mend.unwrap_or_default())
}

fn deploy(server: &Server, variant: &str, verdict: Verdict) -> u32 {
    let writer = Writer::start(server);
    let mut stranger = stranger(server);
    let said = server.agent(&format!("deploy v/{variant}"));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    let met = server.ok(&format!("uniq {MET}"));
    assert!(met.starts_with('1') && met.ends_with('1'), "the stranger met:\n{met}");
    let refused = server.ok("grep -c 'permission denied for database' /var/log/postgresql/pgbouncer.log");
    assert_ne!(refused, "0", "he came while the fence stood");
    assert_eq!(said.code, verdict.exit() as i32, "{}\n{}", said.out, said.err);
    let id = server.newest();
    let new = Release { id, revision: server.tip(&format!("v/{variant}")) };
    server.verify_live(if verdict == Deployed { &new } else { server.old() });
    server.verify_rows(writer);
    assert_eq!(server.show(id).lane, Some(Lane::Fenced));
    id
}

fn fence_and_swap_with(mode: &str) {
    let server = pooled(mode);
    // The scenarios' short deadline is PgBouncer's own pause.
    let (level, mend) = told(&server);
    assert_eq!(level, "Bad", "{mend}");
    assert_eq!(
        mend,
        "set server_login_retry = 1 in /etc/pgbouncer/pgbouncer.ini, then sudo systemctl reload pgbouncer"
    );
    server.ok("echo 'server_login_retry = 1' >> /etc/pgbouncer/pgbouncer.ini; systemctl reload pgbouncer");
    assert_eq!(told(&server).0, "Ok");
    let back = deploy(&server, "breaking-dies-at-import", RolledBack);
    let said = server.show(back).database.unwrap_or_default();
    assert!(said.contains("case 2"), "{said}");
    let there = deploy(&server, "breaking", Deployed);
    let window = server.show(there).window.unwrap();
    assert!(window < 12_000, "PgBouncer's pause is not in it: {window} ms");
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn transactions_are_pooled() {
    fence_and_swap_with("transaction");
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn sessions_are_pooled() {
    fence_and_swap_with("session");
}
