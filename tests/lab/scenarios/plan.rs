//! What a deployment would do, told before, and then held against what it does.

use tsh_agent::model::lane::Lane;
use tsh_agent::model::plan::PlanView;

use crate::harness::state::Server;
use crate::harness::verify::runs;
use crate::harness::wait::{seconds, until};

fn plan(server: &Server, revision: &str) -> PlanView {
    let said = server.agent(&format!("plan {revision} --json")).ok();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// A commit on top of main that a developer pushes as a branch.
fn push(server: &Server, branch: &str, change: &str) {
    server.ok(&format!(
        "set -e; cd \"$(mktemp -d)\"; git clone -q /srv/git/erp.git .
        git config user.name Dana; git config user.email dana@example.org
        git checkout -q -b {branch}; {change}; git add -A; git commit -q -m 'Change {branch}'
        git push -q origin {branch}; chown -R git: /srv/git/erp.git"
    ));
}

/// Everything that a plan must leave as it is.
fn state(server: &Server) -> (u32, String, String) {
    let kept = server.ok("ls /srv/tsh-erp/releases /var/lib/tsh-agent-fetch/tsh-erp/trees");
    (server.newest(), kept, format!("{:?}", runs(server)))
}

#[test]
fn a_plan_tells_what_a_deployment_would_do_and_does_nothing() {
    let server = Server::ready();
    let before = state(&server);

    let nothing = plan(&server, "");
    assert!(nothing.is_nothing(), "{nothing:?}");
    assert!(server.agent("plan").ok().contains("nothing to do"));

    let code = plan(&server, "v/good2");
    assert_eq!((code.lane, code.compared.new.count, code.compared.packages.changes.len()), (Some(Lane::Code), 1, 0));
    assert_eq!(code.compared.to.revision.as_str(), server.tip("v/good2"));
    assert_eq!(code.compared.packages.file.as_deref(), Some("requirements.txt"));

    let migrates = plan(&server, "v/additive");
    let names: Vec<_> = migrates.compared.migrations.pending.iter().map(|one| one.revision.as_str()).collect();
    assert_eq!((names, migrates.schema.as_slice()), (vec!["0003_note"], &["0002_processed".to_owned()][..]));
    assert_eq!((migrates.lane, migrates.rehearsal.as_ref()), (Some(Lane::Fenced), None));

    push(&server, "newer", "sed -i 's/^click==8.5.1/click==8.5.2/' requirements.txt");
    let packages = plan(&server, "newer").compared.packages.changes;
    let told: Vec<_> = packages.iter().map(|one| (one.name.as_str(), one.old.as_deref(), one.new.as_deref())).collect();
    assert_eq!(told, [("click", Some("8.5.1"), Some("8.5.2"))]);

    let unknown = server.agent("plan no-such-branch");
    assert_eq!((unknown.code, unknown.errors()), (1, 1), "{unknown:?}");
    assert!(unknown.err.contains("no branch, tag or commit is called no-such-branch"), "{unknown:?}");
    assert_eq!(state(&server), before, "it changed something");

    // Two at once, and one during a deployment, which goes on as if nobody had asked.
    let one = server.begin("plan v/good2");
    let other = server.begin("plan v/additive");
    let client = server.begin("deploy v/breaking-dies-at-import");
    let id = server.begun(server.old().id);
    until("it is being made", seconds(60), || {
        server.show(id).steps.iter().any(|step| step.took.is_some()).then_some(())
    });
    let meanwhile = plan(&server, "v/additive");
    assert_eq!(meanwhile.open.map(|open| open.0), Some(id));
    assert_eq!((one.finish().code, other.finish().code), (0, 0));
    assert_eq!(client.finish().code, 3);
    // It was rehearsed, and that is known now.
    let known = plan(&server, "v/breaking-dies-at-import");
    let rehearsed = known.rehearsal.unwrap_or_else(|| panic!("{:?}", known.compared.migrations));
    assert_eq!(rehearsed.deployment.0, id);
    let shown = server.sh_as("olga", "tsh-agent plan v/breaking-dies-at-import").ok();
    eprintln!("{shown}");
    assert!(shown.contains(&format!("deployment {id} rehearsed exactly these")), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}

#[test]
fn a_pinned_release_is_kept_until_it_is_unpinned() {
    let server = Server::ready();
    server.set("keep_releases", "1");
    // Not the first one, which stays in any case: it alone knows how the schema came to be.
    server.agent("deploy v/good2").ok();
    let pinned = server.newest();
    let is_kept = || server.sh(&format!("test -d /srv/tsh-erp/releases/{pinned}")).code == 0;
    server.sh_as("olga", &format!("tsh-agent pin {pinned} --reason 'before the stocktaking'")).ok();
    server.ok("systemctl restart tsh-agent");
    server.agent("deploy main").ok();
    server.agent("deploy v/good2").ok();
    assert!(is_kept(), "{}", server.ok("ls /srv/tsh-erp/releases"));
    let pins = server.status().pinned;
    assert_eq!(
        (pins[0].release.0, pins[0].by.as_str(), pins[0].reason.as_str()),
        (pinned, "olga", "before the stocktaking")
    );
    let rows: Vec<_> = server.history().into_iter().filter(|row| row.pinned).map(|row| row.id.0).collect();
    assert_eq!(rows, [pinned]);
    assert!(server.agent("audit").ok().contains("before the stocktaking"));

    // Two releases by their numbers; and what there is none of.
    let shown = server.agent(&format!("diff {} {pinned}", server.old().id)).ok();
    assert!(shown.lines().count() < 10 && shown.contains(&server.tip("v/good2")[..8]), "{shown}");
    assert_eq!((server.agent("diff 999 main").code, server.agent("pin 999").code), (2, 2));

    server.agent(&format!("unpin {pinned}")).ok();
    server.agent("deploy main").ok();
    assert!(!is_kept(), "{}", server.ok("ls /srv/tsh-erp/releases"));
    assert_eq!(server.agent(&format!("unpin {pinned}")).code, 1);
}
