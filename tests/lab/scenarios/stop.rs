//! The weaker lane, for servers without door and roles: stop, back up, migrate, start.

use tsh_agent::model::outcome::Verdict;
use tsh_agent::model::step::Step;

use crate::harness::state::Server;
use crate::harness::writer::Writer;

fn server() -> Server {
    let server = Server::ready();
    server.set("lane", "\"stop\"");
    server
}

#[test]
fn it_migrates_while_nothing_runs() {
    let server = server();
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/breaking");
    assert_eq!(said.code, 0, "{said:?}");
    let id = server.newest();
    let steps: Vec<Step> = server.show(id).steps.iter().map(|view| view.step).collect();
    let at = |step| steps.iter().position(|done| *done == step);
    assert!(at(Step::Stop) < at(Step::Backup) && at(Step::Backup) < at(Step::Migrate), "{steps:?}");
    assert!(at(Step::Close).is_none() && at(Step::Twin).is_none(), "{steps:?}");
    server.verify(id, Verdict::Deployed);
    server.verify_rows(writer);
}

#[test]
fn a_migration_that_undid_itself_comes_back() {
    let server = server();
    let writer = Writer::start(&server);
    let said = server.agent("deploy v/migration-fails");
    assert_eq!(said.code, Verdict::RolledBack.exit() as i32, "{said:?}");
    assert!(said.err.contains("case 0"), "{}", said.err);
    server.verify(server.newest(), Verdict::RolledBack);
    server.verify_rows(writer);
}

#[test]
fn a_migration_that_left_half_of_itself_is_handed_over() {
    let server = server();
    server.set("deadline", "\"4s\"");
    let said = server.agent("deploy v/migration-fails-outside");
    assert_eq!(said.code, Verdict::NeedsOperator.exit() as i32, "{said:?}");
    assert!(said.err.contains("case 3"), "{}", said.err);
    assert!(said.err.contains("next:"), "the way out is named: {}", said.err);
}
