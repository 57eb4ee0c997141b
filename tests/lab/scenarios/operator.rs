//! What an operator does on an ordinary day: go back, stop something, look, and do it twice.

use tsh_agent::model::outcome::Verdict;
use tsh_agent::model::step::Step;

use crate::harness::state::Server;
use crate::harness::verify::Release;
use crate::harness::wait::{seconds, until};
use crate::harness::writer::{self, Writer};

#[test]
fn what_is_live_already_is_not_deployed_again() {
    let server = Server::ready();
    let writer = Writer::start(&server);
    let said = server.agent("deploy main");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("nothing to do"), "{said:?}");
    server.verify_untouched(writer);
    assert_eq!(server.agent("deploy main --force").code, 0);
    let id = server.newest();
    assert_eq!(server.status().release.map(|id| id.0), Some(id));
}

#[test]
fn rollback_goes_to_the_release_before_and_to_any_other() {
    let server = Server::ready();
    let writer = Writer::start(&server);
    server.agent("deploy v/good2").ok();
    let good2 = server.newest();
    assert_eq!(server.agent("rollback").code, 0);
    server.verify_live(server.old());
    let said = server.agent(&format!("rollback --to {good2}"));
    assert_eq!(said.code, 0, "{said:?}");
    server.verify_live(&Release { id: good2, revision: server.tip("v/good2") });
    let row = server.history().remove(0);
    assert_eq!((row.kind.as_str(), row.state.as_str()), ("rollback", "deployed"));
    server.verify_rows(writer);
}

#[test]
fn rollback_over_a_migration_is_refused_and_touches_nothing() {
    let server = Server::ready();
    server.agent("deploy v/breaking").ok();
    let runs = crate::harness::verify::runs(&server);
    let writer = Writer::start(&server);
    let shown = server.agent("rollback --dry-run");
    assert!(shown.code == 1 && shown.out.contains("it is refused (case 3)"), "{shown:?}");
    assert!(shown.err.contains("0003_total, which release 1 does not know"), "{shown:?}");
    let said = server.agent("rollback");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.starts_with(&shown.out), "the same is told before: {}", said.out);
    assert_eq!(said.errors(), 1, "{said:?}");
    writer::progress(&server, writer::acknowledged(&server));
    assert_eq!(writer.stop().unwrap().failed_requests, 0);
    assert_eq!(crate::harness::verify::runs(&server), runs);
    writer::verify(&server);
}

/// Begins a deployment, aborts it while this step runs.
fn abort_during(branch: &str, step: Step) -> (Server, Writer) {
    let server = Server::ready();
    let writer = Writer::start(&server);
    let client = server.begin(&format!("deploy {branch}"));
    let id = server.begun(server.old().id);
    until("the step runs", seconds(60), || {
        server.show(id).steps.iter().any(|now| now.step == step && now.state == "running").then_some(())
    });
    server.agent(&format!("abort {id}")).ok();
    let said = client.finish();
    assert_eq!(said.code, 9, "{said:?}");
    server.verify(id, Verdict::Aborted);
    (server, writer)
}

#[test]
fn an_abort_during_the_build_touches_nothing() {
    let (server, writer) = abort_during("v/slow-build", Step::Build);
    server.verify_untouched(writer);
}

#[test]
fn an_abort_during_the_migration_comes_back() {
    let (server, writer) = abort_during("v/slow-migration", Step::Migrate);
    server.verify_rows(writer);
}

#[test]
fn an_abort_during_the_probe_comes_back() {
    let (server, writer) = abort_during("v/never-healthy", Step::Probe);
    server.verify_rows(writer);
}

#[test]
fn init_and_install_again_change_nothing() {
    let server = Server::ready();
    let look = "find /etc /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d /usr/share/dbus-1 /usr/share/polkit-1 \
            /usr/bin/tsh-agent /srv /var/lib/tsh-agent-fetch /var/lib/tsh-agent-build -xdev \
            -not -path '*/__pycache__*' -printf '%p %u %g %m %l %s %T@ ' -a \\( -type f -exec md5sum {} ';' -o -printf '\\n' \\) | sort
        runuser -u postgres -- pg_dumpall --globals-only | grep -v '^\\\\'; runuser -u postgres -- psql -XAtc '\\l' ";
    let before = server.ok(look);
    let runs = crate::harness::verify::runs(&server);
    server.agent("init tsh-erp").ok();
    server.ok("/opt/tsh-agent/scripts/install --binary /opt/tsh-agent/tsh-agent");
    let after = server.ok(look);
    let changed: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(crate::harness::verify::runs(&server), runs);
}

#[test]
fn a_monitoring_system_finds_the_numbers() {
    let server = Server::ready();
    let folder = "/var/lib/prometheus/node-exporter";
    server.ok(&format!("mkdir -p {folder} && /opt/tsh-agent/packaging/deb/postinst configure again"));
    server.agent("deploy v/good2").ok();
    let id = server.newest();
    // The one who collects is nobody's friend.
    let collected = || server.ok(&format!("runuser -u nobody -- cat {folder}/tsh-agent.prom"));
    let line = format!("tsh_agent_last_deployment_number{{app=\"tsh-erp\"}} {id}");
    let file = until("the file tells of it", seconds(20), || Some(collected()).filter(|text| text.contains(&line)));
    let count = "tsh_agent_deployments_total{app=\"tsh-erp\",kind=\"deploy\",result=\"deployed\"} 2";
    assert!(file.contains(count) && file.contains("step=\"build\""), "{file}");
    let printed = server.sh_as("olga", "tsh-agent metrics").ok();
    assert!(printed.contains(count) && printed.ends_with("# EOF"), "{printed}");
    // The same over the local socket, for who is in the group, and for nobody else.
    let ask = |user: &str, more: &str| {
        server.sh(&format!(
            "runuser -u {user} -- curl -sS -m 20 -w '\\n%{{http_code}} %{{content_type}}' --unix-socket /run/tsh-metrics.sock {more}"
        ))
    };
    server.ok("useradd -r collector && usermod -aG tsh-agent-metrics collector");
    let said = ask("collector", "http://localhost/metrics").ok();
    let (text, told) = said.rsplit_once('\n').unwrap();
    assert_eq!(told, "200 application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text.contains(count) && text.trim_end().ends_with("# EOF"), "{text}");
    assert!(text.contains("tsh_agent_deployment_duration_seconds_bucket"), "{text}");
    assert!(text.contains("tsh_agent_deployment_downtime_seconds_count"), "{text}");
    assert_ne!(ask("nobody", "http://localhost/metrics").code, 0, "strangers are not let in");
    assert!(ask("collector", "http://localhost/").ok().ends_with("404 text/plain; charset=utf-8"));
    assert!(ask("collector", "-d x http://localhost/metrics").ok().ends_with("405 text/plain; charset=utf-8"));
    // Nothing is counted anew, and nothing is forgotten.
    server.ok("systemctl restart tsh-agent");
    assert!(server.sh_as("olga", "tsh-agent metrics").ok().contains(count));
}

#[test]
fn a_check_finds_nothing_wrong_and_names_what_is() {
    let server = Server::ready();
    server.agent("check").ok();
    server.ok("systemctl stop redis-server; rm /etc/polkit-1/rules.d/49-tsh-agent-tsh-erp.rules");
    let said = server.agent("check");
    assert_ne!(said.code, 0, "{said:?}");
    assert!(format!("{}{}", said.out, said.err).contains("polkit"), "{said:?}");
}

#[test]
fn a_step_that_systemd_starts_late_is_waited_for() {
    let server = Server::ready();
    server.ok("mkdir -p /run/systemd/system/tsh-agent-fetch@.service.d && \
         printf '[Unit]\nAfter=late.service\n' > /run/systemd/system/tsh-agent-fetch@.service.d/late.conf && \
         systemctl daemon-reload && \
         systemd-run -q --no-block --unit=late --property=Type=oneshot sleep 10");
    let said = server.agent("deploy -v v/good2").ok();
    server.verify(server.newest(), Verdict::Deployed);
    // What the run before has said lies there until then, and is not this one's.
    let old = &server.old().revision[..8];
    assert!(!said.contains(&format!(" of {old}")) && said.contains("| fetching from "), "{said}");
}
