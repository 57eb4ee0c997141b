//! Every way in which a release can be good or bad, with somebody writing all the time.

use tsh_agent::model::outcome::Verdict::{self, Deployed, Failed, NeedsOperator, RolledBack};

use crate::harness::machine::Said;
use crate::harness::state::Server;
use crate::harness::verify::{Release, live_release};
use crate::harness::writer::Writer;

/// Deploys a variant, which must end so, and leave a whole server. Returns what the operator saw.
fn deploy(server: &Server, variant: &str, verdict: Verdict) -> Said {
    let writer = Writer::start(server);
    let said = server.agent(&format!("deploy v/{variant}"));
    assert_eq!(said.code, verdict.exit() as i32, "{}\n{}", said.out, said.err);
    let id = server.newest();
    server.verify(id, verdict);
    if verdict == Failed {
        server.verify_untouched(writer);
    } else {
        server.verify_rows(writer);
    }
    said
}

/// One error, one line that says what is wrong, and that the old release serves.
fn deploy_in_vain(variant: &str, verdict: Verdict, because: &str) {
    let server = Server::ready();
    let said = deploy(&server, variant, verdict);
    assert_eq!(said.errors(), 1, "one error:\n{}", said.err);
    assert!(said.err.contains(because), "says why ({because}):\n{}", said.err);
}

#[test]
fn code_only_is_deployed() {
    deploy(&Server::ready(), "good2", Deployed);
}

#[test]
fn an_additive_migration_is_deployed() {
    deploy(&Server::ready(), "additive", Deployed);
}

#[test]
fn a_migration_that_old_code_cannot_live_with_is_deployed() {
    deploy(&Server::ready(), "breaking", Deployed);
}

#[test]
fn a_slow_start_is_waited_for() {
    let server = Server::ready();
    server.set("deadline", "\"40s\"");
    deploy(&server, "slow-start", Deployed);
}

#[test]
fn one_that_dies_at_import_comes_back_and_the_log_says_why() {
    let server = Server::ready();
    let said = deploy(&server, "dies-at-import", RolledBack);
    assert!(said.err.contains("tsh-erp.service"), "{}", said.err);
    let log = server.sh_as("olga", &format!("tsh-agent logs {}", server.newest())).ok();
    for words in ["step probe failed", "this release dies at import", "Started tsh-erp.service", "20 packages"] {
        assert!(log.contains(words), "{words} is not in the log:\n{log}");
    }
    let explained = server.ok(&format!("journalctl -x --no-pager TSH_DEPLOYMENT={}", server.newest()));
    assert!(explained.contains("was rolled back"), "{explained}");
}

#[test]
fn after_the_commit_point_a_person_decides_and_the_next_one_starts_from_what_is_live() {
    let server = Server::ready();
    server.set("bake", "\"8s\"");
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/breaking-worker-crash");
    assert_eq!(said.code, NeedsOperator.exit() as i32, "{said:?}");
    let live = Release { id: server.newest(), revision: server.tip("v/breaking-worker-crash") };
    assert_eq!(live_release(&server), live, "what passes its probe goes on serving");
    let said = server.agent("deploy v/breaking-dies-at-import");
    assert_eq!(said.code, RolledBack.exit() as i32, "{said:?}");
    assert_eq!(live_release(&server), live, "back to what was live, not to what was once verified");
    let said = server.agent("deploy v/breaking-worker-crash");
    assert_ne!(said.code, 0, "what was not verified is not good already: {said:?}");
    assert_eq!(server.agent("deploy v/breaking").code, 0);
    server.verify(server.newest(), Deployed);
    server.verify_rows(writer);
}

#[test]
fn one_that_dies_after_5_s_comes_back() {
    let server = Server::ready();
    server.set("bake", "\"7s\"");
    deploy(&server, "dies-after-5s", RolledBack);
}

#[test]
fn one_that_is_answered_for_by_an_old_process_comes_back() {
    deploy_in_vain("wrong-revision", RolledBack, "revision");
}

#[test]
fn a_migration_that_fails_in_the_rehearsal_touches_nothing() {
    deploy_in_vain("migration-fails", Failed, "in the rehearsal, migration 0002_processed -> 0003_total");
}

#[test]
fn a_migration_that_fails_on_production_alone_undoes_itself() {
    deploy_in_vain("migration-fails-live", RolledBack, "unchanged (case 0)");
}

#[test]
fn half_a_migration_on_production_alone_is_swapped_back() {
    deploy_in_vain("migration-fails-outside-live", RolledBack, "as before the migration (case 2)");
}

#[test]
fn a_migration_of_a_release_that_dies_comes_back() {
    deploy_in_vain("breaking-dies-at-import", RolledBack, "tsh-erp.service");
}

#[test]
fn a_requirement_that_does_not_exist_touches_nothing() {
    deploy_in_vain("missing-requirement", Failed, "build");
}

#[test]
fn a_worker_that_crashes_comes_back() {
    let server = Server::ready();
    // On a busy machine the worker may need seconds until it dies.
    server.set("bake", "\"8s\"");
    let said = deploy(&server, "worker-crash", RolledBack);
    assert!(said.err.contains("tsh-erp-worker.service"), "{}", said.err);
}

#[test]
fn one_that_never_answers_comes_back() {
    let server = Server::ready();
    server.set("deadline", "\"5s\"");
    deploy(&server, "never-healthy", RolledBack);
}

#[test]
fn one_that_never_starts_comes_back() {
    let server = Server::ready();
    server.set("deadline", "\"5s\"");
    deploy(&server, "never-starts", RolledBack);
}

#[test]
fn one_that_answers_500_comes_back() {
    let server = Server::ready();
    server.set("deadline", "\"5s\"");
    deploy(&server, "answers-500", RolledBack);
}
