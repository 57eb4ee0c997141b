//! An application that runs in place is taken over and put back while people use it.

use std::process::Child;

use serde::Deserialize;
use tsh_agent::model::outcome::Verdict;

use crate::harness::machine::{Machine, Said};
use crate::harness::state::{PACKAGES, install};
use crate::harness::verify::runs;
use crate::harness::wait::{seconds, until};
use crate::harness::writer::{self, Writer};

const TREE: &str = "/home/deploy/TSH_ERP_Ecosystem";
/// Everything of the application that could have moved: names, owners, modes, contents. What nginx includes stays.
const LOOK: &str = "find /home/deploy/TSH_ERP_Ecosystem /etc/systemd/system /etc/nginx -not -name '*.log' -not -path '*/uploads/[0-9]*' \
    -not -name __pycache__ -not -name '*.pyc' -not -path '*/.git/index' -not -name 'tsh-agent-*.conf' -printf '%p %y %u %g %m %l\\n' | sort; \
    cat /home/deploy/TSH_ERP_Ecosystem/.env.production /etc/systemd/system/tsh-erp*.service | md5sum";

/// The application is where it was, as it was.
#[track_caller]
fn same(before: &str, machine: &Machine) {
    let now = machine.ok(LOOK);
    let missing: Vec<_> = before.lines().filter(|line| !now.contains(line)).collect();
    let new: Vec<_> = now.lines().filter(|line| !before.contains(line)).collect();
    assert!(missing.is_empty() && new.is_empty(), "missing {missing:#?}\nnew {new:#?}");
}

/// People who store files and look at them, by the paths from before.
struct Uploader(Option<Child>);

#[derive(Debug, Deserialize)]
struct Uploads {
    turns: u64,
    failures: Vec<String>,
}

impl Uploader {
    fn start(machine: &Machine) -> Self {
        let argv = ["runuser", "-u", "deploy", "--", "/opt/tests-lab/uploader", TREE];
        let uploader = Self(Some(machine.spawn(&argv)));
        let count = || machine.ok(&format!("find {TREE}/uploads/ -name '[0-9]*' | wc -l")).parse::<u32>().unwrap();
        until("files are stored", seconds(10), || (count() > 5).then_some(()));
        uploader
    }

    fn stop(mut self, machine: &Machine) -> Uploads {
        machine.ok("pkill -TERM -u deploy -f /opt/tests-lab/uploader");
        let said = Said::of(&self.0.take().unwrap().wait_with_output().unwrap());
        serde_json::from_str(said.out.trim()).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }
}

impl Drop for Uploader {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A machine on which the sample runs from a checkout, with the agent installed and nothing configured.
fn in_place() -> Machine {
    let machine = Machine::lend();
    machine.lab("reset", &[]).ok();
    install(&machine);
    machine.ok("/opt/tests-lab/in-place");
    machine
}

/// Does this while people use the application: no request may fail, and no process may be restarted.
fn under_load(machine: &Machine, what: impl FnOnce()) {
    let before = runs(machine);
    let (writer, uploader) = (Writer::start(machine), Uploader::start(machine));
    what();
    writer::progress(machine, writer::acknowledged(machine));
    let uploads = uploader.stop(machine);
    let summary = writer.stop().unwrap();
    assert_eq!(summary.failed_requests, 0, "{summary:?}");
    assert!(uploads.turns > 20 && uploads.failures.is_empty(), "{uploads:?}");
    assert_eq!(runs(machine), before, "a unit was restarted");
    eprintln!(
        "{} files stored and fetched, none failed; longest gap of a request {} ms",
        uploads.turns, summary.longest_gap_ms
    );
}

#[test]
fn an_application_is_adopted_and_put_back_while_it_is_used() {
    let machine = in_place();
    let before = machine.ok(LOOK);
    let dry = machine.agent(&format!("adopt {TREE} --dry-run --yes")).ok();
    assert!(dry.lines().filter(|line| line.starts_with("would ")).count() >= 8, "{dry}");
    same(&before, &machine);

    under_load(&machine, || drop(machine.agent(&format!("adopt {TREE} --yes")).ok()));
    assert_eq!(machine.ok(&format!("readlink {TREE}")), "/srv/tsh-erp/current");
    assert_eq!(machine.ok("stat -c '%U %a' /etc/tsh-agent/apps/tsh-erp.env"), "root 600");
    assert_eq!(machine.sh("cat /srv/tsh-erp/current/.env.production").code, 1, "a secret is in a release");
    assert_eq!(machine.ok("cat /srv/tsh-erp/shared/uploads/logo.txt"), "logo");
    assert_eq!(machine.history()[0].kind, "adopt");
    let said = machine.agent("check");
    assert_eq!(said.code, 0, "{}", said.out);

    // Deployments stand on it, and it is a release to go back to.
    let adopted = machine.newest();
    machine.set("environment", PACKAGES);
    machine.set("bake", "\"2s\"");
    let said = machine.agent("deploy v/good2");
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert_eq!(machine.ok("curl -sf http://127.0.0.1/uploads/logo.txt"), "logo");
    assert_eq!(machine.agent("adopt --undo").code, 2, "another release is live");
    let said = machine.agent(&format!("rollback --to {adopted}"));
    assert_eq!((said.code, machine.settled(machine.newest())), (0, Verdict::Deployed), "{said:?}");
    machine.ok("readlink /proc/$(systemctl show -P MainPID tsh-erp)/cwd | grep -q /srv/tsh-erp/releases/");

    under_load(&machine, || {
        let said = machine.agent("adopt --undo").ok();
        assert!(said.contains("still runs from"), "{said}");
    });
    machine.ok("systemctl restart tsh-erp tsh-erp-worker");
    machine.agent("adopt --undo").ok();
    same(&before, &machine);
    machine.ok("test ! -e /srv/tsh-erp/current && test ! -e /etc/tsh-agent/adopted/tsh-erp.json");
    until("it answers", seconds(10), || (machine.sh("curl -sf http://127.0.0.1/health").code == 0).then_some(()));
}

#[test]
#[ignore = "scripts/test --full runs it: it kills it at many moments"]
fn an_adoption_that_is_killed_goes_on_where_it_was() {
    let machine = in_place();
    let before = machine.ok(LOOK);
    let killed = |verb: &str| {
        let cut = |seconds: &&str| {
            machine.sh(&format!("timeout -s KILL {seconds} tsh-agent adopt {verb} --app tsh-erp")).code != 0
        };
        let killed = ["0.1", "0.2", "0.4", "0.8", "1.2", "1.8", "2.5", "4", "6"].into_iter().filter(cut).count();
        let last = machine.agent(&format!("adopt {verb} --app tsh-erp"));
        // One of those before may have come to its end: then there is nothing more to put back.
        assert!(last.code == 0 || last.err.contains("was not adopted"), "{last:?}");
        killed
    };
    under_load(&machine, || {
        let forward = killed(&format!("{TREE} --yes"));
        assert_eq!(machine.ok(&format!("readlink {TREE}")), "/srv/tsh-erp/current");
        let back = killed("--undo");
        eprintln!("killed {forward} times on the way there, {back} times on the way back");
        assert!(forward > 3);
    });
    same(&before, &machine);
}
