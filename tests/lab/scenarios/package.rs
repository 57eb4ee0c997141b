//! The first hour with the package, on each Debian: install, init, check, deploy; an upgrade in the middle of a
//! deployment; remove; purge.

use std::path::{Path, PathBuf};
use std::process::Command;

use tsh_agent::model::outcome::Verdict;

use crate::harness::agent::SETTINGS;
use crate::harness::machine::{Machine, lock};
use crate::harness::state::{PACKAGES, program};
use crate::harness::wait::{seconds, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A machine with the sample application's users, units, database and repository, and nothing of ours.
struct Fresh(Machine);

impl Drop for Fresh {
    fn drop(&mut self) {
        self.0.lab("down", &[]);
    }
}

fn fresh(suite: &str) -> Fresh {
    let machine = Machine::named(&format!("pkg-{suite}"));
    machine.lab("down", &[]).ok();
    machine.lab("up", &["--suite", suite]).ok();
    let fresh = Fresh(machine);
    fresh.0.put(&Path::new(ROOT).join("tests/lab"), "/opt/tests-lab");
    fresh.0.ok("/opt/tests-lab/provision");
    if suite != "bookworm" {
        fresh.0.ok("/opt/tests-lab/rehash");
    }
    fresh.0.ok("echo 'no-index = true' > /etc/uv.toml");
    fresh
}

/// The package of this number, with the program that is tested here.
fn package(revision: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("package-{revision}"));
    std::fs::create_dir_all(&folder).unwrap();
    let _lock = lock(&folder.join("lock"));
    let small = folder.join("program");
    assert!(Command::new("strip").arg("-o").arg(&small).arg(program()).status().unwrap().success());
    let mut release = Command::new(format!("{ROOT}/scripts/release"));
    release.env("DPKG_DEB_COMPRESSOR_TYPE", "none").args(["--revision", &revision.to_string(), "--binary"]);
    let output = release.arg(&small).arg("--into").arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().into()
}

fn install(machine: &Machine, revision: u32) {
    machine.put(&package(revision), "/root/tsh-agent.deb");
    machine.ok("apt-get install -y -q /root/tsh-agent.deb");
}

/// What a person does, from nothing to the first deployment.
fn first_hour(machine: &Machine) {
    install(machine, 1);
    assert_eq!(machine.sh("systemctl is-active tsh-agent").out.trim(), "inactive", "installing starts nothing");
    assert_eq!(machine.agent("check").code, 2, "there is nothing to check yet");

    let said = machine.agent("init tsh-erp --yes");
    assert_eq!((said.code, said.errors()), (2, 1), "{said:?}");
    assert!(said.err.contains("--url") && said.err.contains("--migrations"), "{said:?}");
    machine.agent("init tsh-erp --yes --url ssh://git@127.0.0.1/srv/git/erp.git --migrations alembic").ok();
    // The machine has no internet.
    machine.set("environment", PACKAGES);
    machine.set("commands", "[[\"bin/build\"]]");
    machine.set("bake", "\"2s\"");
    let said = machine.agent("check");
    assert_eq!(said.code, 0, "{}", said.out);
    let said = machine.agent("deploy");
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    machine.ok("curl -sS --fail http://127.0.0.1/health");
    let said = machine.agent("check");
    assert_eq!(said.code, 0, "{}", said.out);
}

fn upgraded_in_the_middle(machine: &Machine) {
    machine.set("commands", "[[\"bin/build\"], [\"sleep\", \"20\"]]");
    let run = || machine.ok("systemctl show -P InvocationID tsh-agent-build@tsh-erp");
    let before = (machine.newest(), run(), machine.ok("systemctl show -P MainPID tsh-agent"));
    let client = machine.begin("deploy --force");
    let id = machine.begun(before.0);
    until("the build runs", seconds(60), || Some(run()).filter(|now| *now != before.1 && !now.is_empty()));
    let step = run();
    install(machine, 2);
    let core = || machine.ok("systemctl show -P MainPID tsh-agent");
    until("another core runs", seconds(20), || Some(core()).filter(|pid| *pid != before.2 && pid != "0"));
    assert_eq!(run(), step, "the step goes on");
    assert_eq!(client.finish().code, 0, "the client finds the new core");
    assert_eq!(machine.settled(id), Verdict::Deployed);
    assert!(machine.ok("dpkg-query -W -f '${Version}' tsh-agent").ends_with("-2"));
}

fn removed_and_purged(machine: &Machine) {
    let kept = "ls -d /srv/tsh-erp/releases/* /var/backups/tsh-agent/tsh-erp /etc/tsh-agent/apps/tsh-erp.env /etc/nginx/snippets/tsh-agent-tsh-erp.conf";
    let databases = "runuser -u postgres -- psql -XAtc \"select datname from pg_database order by 1\"";
    let before =
        (machine.ok(kept), machine.ok(databases), machine.ok("systemctl show -P InvocationID tsh-erp tsh-erp-worker"));
    let now = || {
        (machine.ok(kept), machine.ok(databases), machine.ok("systemctl show -P InvocationID tsh-erp tsh-erp-worker"))
    };

    machine.ok("touch /srv/tsh-erp/links/closed");
    let said = machine.sh("apt-get remove -y -q tsh-agent 2>&1");
    assert!(said.code != 0 && said.out.contains("closed is there"), "nobody would open the door: {said:?}");
    machine.ok("mv /srv/tsh-erp/links/closed /srv/tsh-erp/links/maintenance");
    let said = machine.sh("apt-get remove -y -q tsh-agent 2>&1");
    assert!(said.code != 0 && said.out.contains("maintenance is there"), "nor end the maintenance: {said:?}");
    machine.ok("rm /srv/tsh-erp/links/maintenance");
    machine.ok("apt-get remove -y -q tsh-agent");
    assert_eq!(machine.sh("command -v tsh-agent").code, 1);
    machine.ok(&format!("test -e /var/lib/tsh-agent/state.db && test -e {SETTINGS}"));
    assert_eq!(now(), before, "the application runs on");

    install(machine, 2);
    assert_eq!(machine.history().len(), 2, "what was left is found again");
    assert_eq!(machine.agent("check").code, 0);

    machine.ok("apt-get purge -y -q tsh-agent");
    assert_eq!(now(), before, "releases, backups, databases, the environment and the door's snippet stay");
    let left = machine.ok("ls -d /var/lib/tsh-agent* /etc/tsh-agent/apps/*.toml /etc/systemd/system/tsh-agent* /etc/polkit-1/rules.d/*tsh* 2>/dev/null || true");
    assert_eq!(left, "", "state is gone");
    machine.ok("nginx -t && systemctl restart tsh-erp && systemctl is-active tsh-erp");
}

fn whole_life(suite: &str) {
    let fresh = fresh(suite);
    first_hour(&fresh.0);
    upgraded_in_the_middle(&fresh.0);
    removed_and_purged(&fresh.0);
}

#[test]
#[ignore = "scripts/test --full runs it: it boots a machine without a saved state"]
fn a_package_lives_and_dies_on_debian_12() {
    whole_life("bookworm");
}

#[test]
#[ignore = "scripts/test --full runs it: it makes an image of another Debian"]
fn a_package_lives_and_dies_on_debian_13() {
    whole_life("trixie");
}
