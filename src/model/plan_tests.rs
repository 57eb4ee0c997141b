use super::super::journal::{Before, Cause, Entry, Inspected, Output, Pending, Script};
use super::super::rehearsal::testing::good;
use super::*;

fn versions(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
}

#[test]
fn packages_that_differ_are_named_with_both_versions() {
    let old = versions(&[("anyio", "4.0"), ("fastapi", "0.1"), ("requests", "2.0")]);
    let new = versions(&[("anyio", "4.0"), ("fastapi", "0.2"), ("httpx", "1.0")]);
    let found: Vec<_> = changes(&old, &new)
        .into_iter()
        .map(|change| format!("{} {:?} {:?}", change.name, change.old, change.new))
        .collect();
    assert_eq!(
        found,
        [r#"fastapi Some("0.1") Some("0.2")"#, r#"httpx None Some("1.0")"#, r#"requests Some("2.0") None"#]
    );
    assert!(changes(&old, &old).is_empty());
}

fn migration(revision: &str, sha256: &str) -> Migration {
    let file = format!("versions/{revision}.py");
    Migration { revision: revision.parse().unwrap(), title: String::new(), file, sha256: sha256.to_owned() }
}

/// A deployment in which these were pending, and whose rehearsal ended so.
fn journal(pending: &[(&str, &str)], end: Fact) -> Journal {
    let one = |(revision, _): &(&str, &str)| Pending {
        revision: revision.parse().unwrap(),
        title: String::new(),
        nontransactional: false,
    };
    let script = |(revision, sha256): &(&str, &str)| Script {
        revision: revision.parse().unwrap(),
        file: String::new(),
        sha256: (*sha256).to_owned(),
    };
    let inspected = Inspected {
        pending: pending.iter().map(one).collect(),
        scripts: pending.iter().map(script).collect(),
        ..Inspected::nothing(Lane::Fenced)
    };
    let inspected = Fact::Done { step: Step::Inspect, out: Output::Inspected(inspected) };
    let begun = Fact::Intent { step: Step::Rehearse, before: Before::Nothing };
    let entry = |fact| Entry { at: 7, boot: "b".into(), fact };
    Journal([inspected, begun, end].map(entry).to_vec())
}

fn well() -> Fact {
    Fact::Done { step: Step::Rehearse, out: Output::Rehearsed(Box::new(good("b"))) }
}

#[test]
fn only_a_rehearsal_of_exactly_these_texts_counts_and_the_last_one() {
    let failed = Fact::Failed { step: Step::Rehearse, cause: Cause::new("no room") };
    let journals = [
        (DeploymentId(9), journal(&[("b", "other")], well())),
        (DeploymentId(8), journal(&[("b", "1"), ("c", "2")], well())),
        (DeploymentId(7), journal(&[("b", "1")], failed)),
        (DeploymentId(6), journal(&[("b", "1")], well())),
    ];
    let found = rehearsed(&journals, &[migration("b", "1")]).unwrap();
    assert_eq!(
        (found.deployment, found.lane, found.against.as_slice()),
        (DeploymentId(7), None, &["no room".into()][..])
    );
    let found = rehearsed(&journals[3..], &[migration("b", "1")]).unwrap();
    assert_eq!(
        (found.deployment, found.lane, found.took, found.at),
        (DeploymentId(6), Some(Lane::Fenced), Some(700), 7)
    );
    assert_eq!(rehearsed(&journals, &[migration("c", "2")]), None);
    assert_eq!(rehearsed(&journals, &[]), None);
}

#[test]
fn the_lane_follows_from_the_migrations_the_settings_and_the_rehearsal() {
    let rule = Rule { stop: false, fenced: false, rehearse: true };
    let none = Migrations::default();
    let one = Migrations { pending: vec![migration("b", "1")], ..Migrations::default() };
    let dark = Migrations { unknown: Some("a command".into()), ..Migrations::default() };
    let online = Rehearsed {
        deployment: DeploymentId(7),
        at: 0,
        lane: Some(Lane::Online),
        took: None,
        window: None,
        against: Vec::new(),
    };
    assert_eq!(lane(&none, rule, None).0, Some(Lane::Code));
    assert_eq!(lane(&dark, rule, None).0, None);
    assert_eq!(lane(&one, rule, None).0, Some(Lane::Fenced));
    assert!(lane(&one, rule, None).1.starts_with("online if"));
    assert_eq!(lane(&one, rule, Some(&online)).0, Some(Lane::Online));
    assert_eq!(lane(&one, Rule { fenced: true, ..rule }, Some(&online)).0, Some(Lane::Fenced));
    assert_eq!(lane(&one, Rule { stop: true, ..rule }, Some(&online)).0, Some(Lane::Stop));
    assert_eq!(lane(&one, Rule { rehearse: false, ..rule }, None).0, Some(Lane::Fenced));
    assert_eq!(lane(&none, Rule { stop: true, ..rule }, None).0, Some(Lane::Code));
}

#[test]
fn what_a_rollback_does_differs_in_every_lane() {
    let live = Live { release: ReleaseId(41), revision: Some("91ab3e0d".repeat(5).parse().unwrap()), verified: true };
    let lanes = [None, Some(Lane::Code), Some(Lane::Online), Some(Lane::Fenced), Some(Lane::Stop)];
    let said: BTreeSet<_> = lanes.map(|lane| rollback(Some(&live), lane)[0].clone()).into();
    assert_eq!(said.len(), lanes.len());
    assert!(said.iter().all(|words| words.contains("release 41 (91ab3e0d)")), "{said:?}");
    assert!(rollback(None, Some(Lane::Code))[0].starts_with("no release is live"));
}
