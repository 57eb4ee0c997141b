//! Something is killed at the worst moment: the core, a step, the whole machine. It settles by itself.
//!
//! The good deployment is one with a migration that old code cannot live with; the bad one has that migration,
//! too, and its release dies at import, so that everything must be undone.

use tsh_agent::model::outcome::Verdict::{self, Deployed, Failed, RolledBack};
use tsh_agent::model::step::Step;

use crate::harness;
use crate::harness::state::Server;
use crate::harness::strike::struck;
use crate::harness::writer::Writer;

const GOOD: &str = "v/breaking";
const BAD: &str = "v/breaking-dies-at-import";

/// Strikes during `step` of a deployment of `branch`, while somebody uses the application.
fn strike(branch: &str, step: &str, harm: &str) -> (Server, Writer, u32) {
    let ((server, writer), id) = struck(|| {
        let server = Server::ready();
        let writer = Writer::start(&server);
        let id = harness::strike::strike(&server, &format!("deploy {branch} --detach"), step, harm);
        ((server, writer), id)
    });
    (server, writer, id)
}

/// The core dies. It comes back, finds the deployment, and brings it to the end it would have had.
fn core_dies(branch: &str, step: &str, harm: &str, verdict: Verdict) {
    let (server, writer, id) = strike(branch, step, harm);
    server.settled(id);
    server.verify(id, verdict);
    assert_eq!(server.ok("systemctl show -P NRestarts tsh-agent"), "1", "the core died once");
    server.verify_rows(writer);
}

/// A step dies. One that only looks is done again; else it is a failure, undone if there is anything to undo.
fn step_dies(branch: &str, step: &str, verdict: Verdict) {
    let (server, writer, id) = strike(branch, step, "unit");
    server.settled(id);
    server.verify(id, verdict);
    server.verify_rows(writer);
}

/// PostgreSQL dies and comes back by itself. What needed it has failed or is done again; before the door is open
/// everything can be undone.
fn postgres_dies(branch: &str, step: &str) {
    let (server, writer, id) = strike(branch, step, "postgres");
    let verdict = server.settled(id);
    assert!(matches!(verdict, Deployed | RolledBack), "{verdict:?}");
    server.verify(id, verdict);
    server.verify_rows(writer);
}

/// The machine dies. After the next boot either release may be live, but whole, and as the verdict says.
fn machine_dies(branch: &str, step: &str) {
    let (server, writer, id) = strike(branch, step, "freeze");
    server.crash();
    drop(writer);
    server.up();
    let verdict = server.settled(id);
    let expected = match find(step) {
        Step::Open | Step::Workers | Step::Bake | Step::Settle | Step::Prune => Deployed,
        step if step.touches() => RolledBack,
        // Nothing was touched yet, so it goes on where it was.
        _ if branch == GOOD => Deployed,
        _ => RolledBack,
    };
    assert_eq!(verdict, expected);
    server.verify(id, verdict);
    server.verify_rows(Writer::start(&server));
}

fn find(word: &str) -> Step {
    Step::ALL.into_iter().find(|step| step.word() == word).unwrap()
}

/// One test for each moment. Those after `full` run only with `scripts/test --full`.
macro_rules! moments {
    ($what:ident($($fixed:expr),*) $sample:tt full $full:tt) => {
        moments!(@ $what($($fixed),*) [] $sample);
        moments!(@ $what($($fixed),*) [#[ignore = "scripts/test --full runs it"]] $full);
    };
    (@ $what:ident($branch:expr) $ignored:tt { $($name:ident: $step:literal $(, $more:expr)*;)* }) => {
        $(moments!(@@ $ignored $name $what($branch, $step $(, $more)*));)*
    };
    (@@ [$($ignored:tt)*] $name:ident $call:expr) => {
        #[test]
        $($ignored)*
        fn $name() {
            $call;
        }
    };
}

mod the_core_dies_in_a_good_deployment_at {
    use super::*;
    moments! { core_dies(GOOD) {
        fetch: "fetch", "core-mid", Deployed;
        backup: "backup", "core", Deployed;
        fence: "fence", "core", Deployed;
        migrate: "migrate", "core-mid", Deployed;
        start: "start", "core", Deployed;
        open: "open", "core", Deployed;
        settle: "settle", "core", Deployed;
    } full {
        build: "build", "core-mid", Deployed;
        seal: "seal", "core-mid", Deployed;
        inspect: "inspect", "core", Deployed;
        rehearse: "rehearse", "core-mid", Deployed;
        close: "close", "core", Deployed;
        stop: "stop", "core", Deployed;
        twin: "twin", "core", Deployed;
        migrate_at_once: "migrate", "core", Deployed;
        switch: "switch", "core", Deployed;
        admit: "admit", "core", Deployed;
        probe: "probe", "core-mid", Deployed;
        workers: "workers", "core", Deployed;
        bake: "bake", "core-mid", Deployed;
        prune: "prune", "core-mid", Deployed;
    }}
}

mod the_core_dies_in_a_bad_deployment_at {
    use super::*;
    moments! { core_dies(BAD) {
        probe: "probe", "core", RolledBack;
        restore: "restore", "core", RolledBack;
        unfence: "unfence", "core", RolledBack;
        reopen: "reopen", "core", RolledBack;
    } full {
        halt: "halt", "core", RolledBack;
        switch_back: "switch-back", "core", RolledBack;
        return_: "return", "core", RolledBack;
        reprobe: "reprobe", "core-mid", RolledBack;
        return_workers: "return-workers", "core", RolledBack;
    }}
}

mod a_step_dies {
    use super::*;
    moments! { step_dies(GOOD) {
        build: "build", Failed;
        rehearse: "rehearse", Deployed;
        migrate: "migrate", RolledBack;
        probe: "probe", Deployed;
        bake: "bake", Deployed;
    } full {
        fetch: "fetch", Failed;
        seal: "seal", Failed;
        inspect: "inspect", Deployed;
        backup: "backup", Failed;
    }}
}

mod the_machine_dies_in_a_good_deployment_at {
    use super::*;
    moments! { machine_dies(GOOD) {
        build: "build";
        stop: "stop";
        twin: "twin";
        migrate: "migrate";
        switch: "switch";
        open: "open";
    } full {
        fetch: "fetch";
        seal: "seal";
        inspect: "inspect";
        backup: "backup";
        rehearse: "rehearse";
        close: "close";
        fence: "fence";
        admit: "admit";
        start: "start";
        probe: "probe";
        workers: "workers";
        bake: "bake";
        settle: "settle";
        prune: "prune";
    }}
}

mod the_machine_dies_in_a_bad_deployment_at {
    use super::*;
    moments! { machine_dies(BAD) {
        restore: "restore";
        return_: "return";
    } full {
        halt: "halt";
        switch_back: "switch-back";
        unfence: "unfence";
        reprobe: "reprobe";
        reopen: "reopen";
        return_workers: "return-workers";
    }}
}

mod postgresql_dies_at {
    use super::*;
    moments! { postgres_dies(GOOD) {} full {
        twin: "twin";
        close: "close";
        stop: "stop";
        fence: "fence";
        migrate: "migrate";
        switch: "switch";
        admit: "admit";
        start: "start";
        probe: "probe";
    }}
}
