//! Every migration is rehearsed, and what the rehearsal finds decides: which way through production, and what a rollback
//! does about the database.

use tsh_agent::model::lane::Lane;
use tsh_agent::model::outcome::Verdict::{Deployed, Failed, RolledBack};
use tsh_agent::model::rehearsal::Answer;
use tsh_agent::model::step::Step;

use crate::harness::state::Server;
use crate::harness::verify::Release;
use crate::harness::writer::{self, Writer};

/// A server on which a rehearsal starts both releases and runs their smoke test.
fn server() -> Server {
    let server = Server::ready();
    server.set("serve", r#"["bin/web"]"#);
    server.set("smoke", r#"["python", "-m", "erp.smoke"]"#);
    server
}

#[test]
fn an_additive_migration_goes_online_and_rollback_leaves_the_schema_ahead() {
    let server = server();
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/additive");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("lane: online"), "{}", said.out);
    let id = server.newest();
    let view = server.show(id);
    assert_eq!((view.lane, view.window), (Some(Lane::Online), None), "{view:?}");
    let found = view.rehearsal.unwrap();
    assert!(found.new.is_proven() && found.old.unwrap().is_proven());
    assert_eq!((found.migration.transactions, found.against.as_slice()), (1, &[][..]));
    let proven = server.agent(&format!("backup show {}", found.backup)).ok();
    assert!(proven.contains("matched"), "the rehearsal proves the backup: {proven}");
    server.verify(id, Deployed);

    // Going back by hand: the record proves it.
    let shown = server.agent("rollback --dry-run").ok();
    let told = "stays at 0003_note (case 1)";
    assert!(shown.contains(told), "{shown}");
    assert_eq!(server.newest(), id, "nothing was done");
    let said = server.agent("rollback");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.out.matches(told).count(), 2, "before and afterwards: {}", said.out);
    server.verify_live(server.old());
    assert_eq!(schema(&server), "0003_note");
    let said = server.agent(&format!("rollback --to {id}"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("case 0"), "{}", said.out);
    server.verify_rows(writer);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn a_release_that_dies_after_going_online_comes_back_and_its_scripts_stay() {
    let server = server();
    server.set("bake", "\"8s\"");
    server.set("keep_releases", "1");
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/additive-worker-crash");
    assert_eq!(said.code, RolledBack.exit() as i32, "{said:?}");
    assert!(said.err.contains("stays at 0003_note (case 1)"), "{}", said.err);
    let ahead = server.newest();
    server.verify(ahead, RolledBack);
    // A release that is neither proven on this schema nor knows it is refused; its own is never forgotten.
    let said = server.agent("deploy v/good2");
    assert_eq!(said.code, Failed.exit() as i32, "{said:?}");
    assert!(said.err.contains("is at revision 0003_note"), "{}", said.err);
    server.agent("deploy main --force").ok();
    server.agent("deploy main --force").ok();
    server.ok(&format!("test -d /srv/tsh-erp/releases/{ahead}"));
    server.agent("deploy v/additive").ok();
    server.verify(server.newest(), Deployed);
    server.verify_rows(writer);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn a_migration_that_old_code_cannot_live_with_is_fenced() {
    let server = server();
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/breaking");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("lane: fenced") && said.out.contains("were predicted"), "{}", said.out);
    let view = server.show(server.newest());
    let old = view.rehearsal.unwrap().old.unwrap();
    assert!(matches!(old.smoke, Some(Answer::Failed(_))), "{old:?}");
    server.verify(view.id.0, Deployed);
    server.verify_rows(writer);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn an_old_release_that_migrates_at_start_is_never_left_on_a_schema_that_is_ahead() {
    let server = server();
    server.set("deadline", "\"30s\"");
    server.agent("deploy v/migrates-at-start").ok();
    let live = Release { id: server.newest(), revision: server.tip("v/migrates-at-start") };
    let writer = Writer::start(&server);
    server.agent("deploy v/additive-migrates-at-start").ok();
    let view = server.show(server.newest());
    let found = view.rehearsal.unwrap();
    assert_eq!(found.lane, Lane::Fenced);
    let old = found.old.unwrap();
    assert!(matches!(&old.probe, Some(Answer::Failed(why)) if why.starts_with("it ended: ")), "{old:?}");
    assert!(matches!(&old.smoke, Some(Answer::Passed(_))), "its code would live on it: {old:?}");
    let said = server.agent(&format!("rollback --to {}", live.id));
    assert_eq!(said.code, Failed.exit() as i32, "{said:?}");
    assert!(said.err.contains("(case 3)"), "{}", said.err);
    server.verify_rows(writer);
}

#[test]
fn what_the_new_release_fails_in_touches_nothing() {
    let server = server();
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/breaking-dies-at-import");
    assert_eq!(said.code, Failed.exit() as i32, "{said:?}");
    assert!(said.err.contains("in the rehearsal, on the new schema"), "{}", said.err);
    assert!(said.err.contains("this release dies at import"), "{}", said.err);
    server.verify(server.newest(), Failed);
    server.verify_untouched(writer);
    assert_eq!(server.ok("ls /var/lib/tsh-agent-rehearse/tsh-erp/scratch | wc -l"), "0");
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn two_heads_are_refused_with_the_command_that_mends_them() {
    let server = Server::ready();
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/two-heads");
    assert_eq!(said.code, Failed.exit() as i32, "{said:?}");
    assert!(said.err.contains("2 heads") && said.err.contains("alembic -c alembic.ini merge"), "{}", said.err);
    server.verify_untouched(writer);
}

#[test]
#[ignore = "scripts/test --full runs it"]
fn a_migration_that_has_run_must_not_change() {
    let server = Server::ready();
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/edited");
    assert_eq!(said.code, Failed.exit() as i32, "{said:?}");
    assert!(said.err.contains("0002_processed has run here"), "{}", said.err);
    let before = server.tip("main");
    assert!(said.err.contains(&format!("git checkout {} --", &before[..8])), "{}", said.err);
    server.verify_untouched(writer);
}

/// Without a backup of its own a deployment needs a recent one that is proven, and rehearses on that.
#[test]
#[ignore = "scripts/test --full runs it"]
fn without_its_own_backup_a_migration_needs_a_proven_one() {
    let server = server();
    server.set("backup", "false");
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/additive");
    assert_eq!(said.code, Failed.exit() as i32, "{said:?}");
    assert!(said.err.contains("no proven backup shows the schema as it is"), "{}", said.err);
    server.agent("backup now").ok();
    server.agent("deploy v/additive").ok();
    let view = server.show(server.newest());
    assert!(view.steps.iter().all(|step| step.step != Step::Backup), "{view:?}");
    assert_eq!(view.rehearsal.unwrap().lane, Lane::Online);
    server.verify_rows(writer);
}

/// Somebody has read a table and left the transaction open for a moment, again and again. The migration gives way and
/// tries again; nobody who comes behind it waits long, and no request fails.
#[test]
#[ignore = "scripts/test --full runs it"]
fn a_migration_online_gives_way_to_whoever_reads() {
    let server = server();
    let writer = Writer::start(&server);
    let idle =
        "while :; do psql -XqAt -c 'begin; select count(*) from orders; select pg_sleep(1.4); commit'; sleep 0.3; done";
    let reader = server.spawn(&["runuser", "-u", "postgres", "--", "env", "PGDATABASE=tsh_erp", "bash", "-c", idle]);
    let said = server.agent("deploy v/additive");
    let mut reader = reader;
    reader.kill().unwrap();
    reader.wait().unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    let log = server.agent(&format!("logs {}", server.newest())).ok();
    assert!(log.contains("gave up waiting for a lock, held by pid"), "nobody was in the way:\n{log}");
    writer::progress(&server, writer::acknowledged(&server));
    let gap = server.verify_rows(writer);
    assert!(gap < 6000, "somebody waited {gap} ms");
}

fn schema(server: &Server) -> String {
    server.ok("runuser -u postgres -- psql -XAt -d tsh_erp -c 'select version_num from alembic_version'")
}
