//! What people and machines get wrong: one clear error each, and production does not feel it.

use tsh_agent::model::outcome::Verdict;

use crate::harness::agent::SETTINGS;
use crate::harness::state::Server;
use crate::harness::writer::Writer;

/// Breaks something, deploys, and expects this exit code and these words in one error.
fn in_vain(break_it: impl FnOnce(&Server), args: &str, code: i32, because: &str) {
    let server = Server::ready();
    break_it(&server);
    let writer = Writer::start(&server);
    let said = server.agent(args);
    assert_eq!(said.code, code, "{}\n{}", said.out, said.err);
    assert_eq!(said.errors(), 1, "one error:\n{}", said.err);
    assert!(said.err.contains(because), "says why ({because}):\n{}", said.err);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    server.verify_untouched(writer);
}

#[test]
fn an_unknown_revision() {
    in_vain(|_| {}, "deploy no-such-branch", 1, "no-such-branch");
}

#[test]
fn an_unknown_application() {
    in_vain(|_| {}, "deploy --app tsh-epr", 2, "tsh-epr");
}

#[test]
fn an_unreachable_remote() {
    in_vain(|server| server.set("url", "\"ssh://git@127.0.0.1:1/srv/git/erp.git\""), "deploy v/good2", 1, "127.0.0.1");
}

#[test]
fn a_wrong_key() {
    let other = "k=/etc/tsh-agent/credentials/tsh-erp.key; rm $k; ssh-keygen -q -t ed25519 -N '' -f $k";
    in_vain(|server| drop(server.ok(other)), "deploy v/good2", 1, "key");
}

#[test]
fn a_host_that_is_not_known() {
    in_vain(|server| drop(server.ok("echo > /etc/tsh-agent/known_hosts")), "deploy v/good2", 1, "known_hosts");
}

#[test]
fn an_unknown_configuration_key() {
    let add = format!("sed -i 's|^branch = .*|&\\nbranhc = \"main\"|' {SETTINGS}");
    in_vain(|server| drop(server.ok(&add)), "deploy v/good2", 2, "branch");
}

#[test]
fn a_configuration_that_is_no_toml() {
    in_vain(|server| drop(server.ok(&format!("echo 'x = [' >> {SETTINGS}"))), "deploy v/good2", 2, SETTINGS);
}

#[test]
fn a_missing_unit() {
    let change = format!("sed -i 's|tsh-erp-worker.service|tsh-erp-werker.service|' {SETTINGS}");
    in_vain(|server| drop(server.ok(&change)), "deploy v/good2", 1, "tsh-erp-werker.service");
}

#[test]
fn a_missing_database() {
    in_vain(|server| server.set("name", "\"tsh_epr\""), "deploy v/good2", 1, "tsh_epr");
}

#[test]
fn a_database_that_is_down_for_the_agent() {
    let shut = "sed -i '1i local all tsh-agent reject' /etc/postgresql/15/main/pg_hba.conf && runuser -u postgres -- psql -qc 'select pg_reload_conf()'";
    in_vain(|server| drop(server.ok(shut)), "deploy v/good2", 1, "database");
}

#[test]
fn a_full_disk_before_the_build() {
    let small = "d=/var/lib/tsh-agent-build/tsh-erp; mount -t tmpfs -o size=8m,uid=$(stat -c %u $d),gid=$(stat -c %g $d),mode=$(stat -c %a $d) tmpfs $d";
    in_vain(|server| drop(server.ok(small)), "deploy v/good2", 1, "free");
}

#[test]
fn a_disk_that_fills_up_while_it_is_sealed() {
    // Enough to begin with, not enough for an environment of this size.
    let small = "d=/srv/tsh-erp/releases; cp -a $d /var/tmp/kept
        mount -t tmpfs -o size=$(( 265 + $(du -sm $d | cut -f1) ))m,uid=$(stat -c %u $d),gid=$(stat -c %g $d),mode=$(stat -c %a $d) tmpfs $d
        cp -a /var/tmp/kept/. $d; fallocate -l 1M $d/.x; rm $d/.x
        echo 'fallocate -l 300M big' >> /etc/tsh-agent-big";
    let add =
        format!("sed -i -E 's|^commands = .*|commands = [[\"fallocate\", \"-l\", \"300M\", \"big\"]]|' {SETTINGS}");
    let prepare = |server: &Server| {
        server.ok(small);
        server.ok(&add);
        // The application goes on in what is now below the mount; nothing of it may change.
    };
    in_vain(prepare, "deploy v/good2", 1, "space");
}

#[test]
fn a_second_deployment_while_one_runs() {
    let server = Server::ready();
    let writer = Writer::start(&server);
    let first = server.begin("deploy v/slow-build");
    let id = server.begun(server.old().id);
    let said = server.agent("deploy v/good2");
    assert_eq!(said.code, 5, "{said:?}");
    assert_eq!(said.errors(), 1, "{said:?}");
    assert!(said.err.contains(&format!("deployment {id}")), "{said:?}");
    assert_eq!(first.finish().code, 0);
    server.verify(id, Verdict::Deployed);
    server.verify_rows(writer);
    assert_eq!(server.newest(), id);
}

#[test]
fn usage_that_is_wrong() {
    let server = Server::ready();
    for args in
        ["deploy --nonsense", "deploy ../../etc", "rollback --to x", "show", "show 99", "abort 99", "frobnicate"]
    {
        let said = server.agent(args);
        assert_eq!(said.code, 2, "{args}: {said:?}");
        assert_eq!(said.errors(), 1, "{args}: {said:?}");
    }
}
