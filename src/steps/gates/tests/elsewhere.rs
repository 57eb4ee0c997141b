//! What runs elsewhere.

use super::*;

fn promotion(from: PromotedFrom, kind: Kind, forge: &Forge) -> Rules {
    let rule = Promotion {
        from,
        healthy: Duration::from_secs(600),
        wait: Duration::from_secs(6000),
        every: Duration::from_secs(5),
    };
    Rules { promotion: Some(rule), forge: Some(api(forge, kind)), ..Rules::default() }
}

/// What the gate answers at a moment in seconds after 2026-11-21 10:00 UTC.
async fn promoted(rules: &Rules, seconds: i64) -> Reply {
    let outside = outside(rules.clone()).await;
    let case = Case { rules: rules.clone(), outside, ..Case::default() };
    let now = EARLY.parse::<jiff::Timestamp>().unwrap().as_millisecond() + seconds * 1000;
    match case.judge(now, None).of(Gate::Promotion).unwrap().reply {
        Reply::Wait { until } => Reply::Wait { until: until.map(|until| until - now) },
        reply => reply,
    }
}

#[tokio::test]
async fn only_what_runs_well_elsewhere_for_long_enough_is_promoted() {
    let forge = Forge::start();
    let from = |since: Option<&str>| PromotedFrom::Url {
        url: format!("{}/health", forge.address),
        revision: "/revision".into(),
        since: since.map(str::to_owned),
        json: [("/status".to_owned(), json!("ok"))].into(),
    };
    let rules = promotion(from(Some("/since")), Kind::Github, &forge);
    let since = EARLY.parse::<jiff::Timestamp>().unwrap().as_millisecond();
    let (ours, other) = (revision().to_string(), "c".repeat(40));
    for (body, seconds, reply) in [
        (json!({"revision": ours, "status": "ok", "since": EARLY}), 600, Reply::Pass),
        (json!({"revision": ours, "status": "ok", "since": since}), 600, Reply::Pass),
        (json!({"revision": ours, "status": "ok", "since": EARLY}), 599, Reply::Wait { until: Some(1000) }),
        (json!({"revision": ours, "status": "down", "since": EARLY}), 600, WAIT),
        (json!({"revision": ours, "since": EARLY}), 600, WAIT),
        (json!({"revision": other, "status": "ok", "since": EARLY}), 600, WAIT),
        (json!({"revision": &ours[..8], "status": "ok", "since": EARLY}), 600, WAIT),
        (json!({"status": "ok", "since": EARLY}), 600, WAIT),
        (json!({"revision": ours, "status": "ok", "since": "soon"}), 600, WAIT),
        (json!({"revision": ours, "status": "ok", "since": "2126-01-01T00:00:00Z"}), 600, WAIT),
        (json!([]), 600, WAIT),
    ] {
        forge.has("/health", &body);
        assert_eq!(promoted(&rules, seconds).await, reply, "{body} after {seconds} s");
    }
    forge.answers("/health", 503, "", "");
    assert_eq!(promoted(&rules, 600).await, WAIT);
    forge.answers("/health", 404, "", "");
    assert_eq!(promoted(&rules, 600).await, Reply::Refuse);
}

#[test]
fn where_it_does_not_tell_since_when_only_what_was_seen_without_interruption_counts() {
    let rule = Promotion {
        from: PromotedFrom::Environment("staging".into()),
        healthy: Duration::from_secs(600),
        wait: Duration::from_secs(6000),
        every: Duration::from_secs(5),
    };
    let rules = Rules { promotion: Some(rule), ..Rules::default() };
    let with = |unwell: Option<&str>| Case {
        rules: rules.clone(),
        outside: Outside {
            promotion: Some(Told::Known(Elsewhere {
                revision: Some(revision()),
                unwell: unwell.map(str::to_owned),
                since: None,
            })),
            ..Outside::default()
        },
        ..Case::default()
    };
    let first = with(None).judge(0, None);
    let later = with(None).judge(599_000, Some(&first));
    assert_eq!(later.of(Gate::Promotion).unwrap().reply, Reply::Wait { until: Some(600_000) });
    assert_eq!(with(None).judge(600_000, Some(&later)).of(Gate::Promotion).unwrap().reply, Reply::Pass);
    let sick = with(Some("down")).judge(599_000, Some(&first));
    let again = with(None).judge(600_000, Some(&sick)).of(Gate::Promotion).cloned().unwrap();
    assert!(matches!(again.reply, Reply::Wait { .. }), "{again:?}");
}

#[tokio::test]
async fn the_forge_knows_what_was_deployed_elsewhere() {
    let forge = Forge::start();
    let hub = promotion(PromotedFrom::Environment("staging eu".into()), Kind::Github, &forge);
    let deployments = format!("/repos/{REPOSITORY}/deployments");
    let deployment =
        |sha: &str| json!([{"id": 42, "sha": sha, "ref": "main", "environment": "staging eu", "created_at": EARLY}]);
    let (ours, other) = (revision().to_string(), "c".repeat(40));
    for (sha, state, reply) in [
        (&ours, "success", Reply::Pass),
        (&ours, "inactive", WAIT),
        (&ours, "in_progress", WAIT),
        (&ours, "failure", WAIT),
        (&ours, "error", WAIT),
        (&other, "success", WAIT),
    ] {
        forge.has(&deployments, &deployment(sha));
        forge.has(&format!("{deployments}/42/statuses"), &json!([{"id": 1, "state": state, "created_at": EARLY}]));
        assert_eq!(promoted(&hub, 600).await, reply, "{sha} {state}");
    }
    assert!(forge.asked.lock().unwrap().join("").contains("environment=staging%20eu&per_page=1 "));
    forge.has(&format!("{deployments}/42/statuses"), &json!([]));
    assert_eq!(promoted(&hub, 600).await, WAIT, "it has not been told how that went");
    forge.has(&deployments, &json!([]));
    assert_eq!(promoted(&hub, 600).await, WAIT, "nothing was deployed there");

    let lab = promotion(PromotedFrom::Environment("staging".into()), Kind::Gitlab, &forge);
    for (sha, status, reply) in [
        (&ours, "success", Reply::Pass),
        (&ours, "running", WAIT),
        (&ours, "failed", WAIT),
        (&ours, "blocked", WAIT),
        (&other, "success", WAIT),
    ] {
        let newest = json!([{"id": 7, "iid": 2, "sha": sha, "status": status, "updated_at": EARLY, "ref": "main"}]);
        forge.has("/projects/owner%2Ferp/deployments", &newest);
        assert_eq!(promoted(&lab, 600).await, reply, "{sha} {status}");
    }
    let tea = promotion(PromotedFrom::Environment("staging".into()), Kind::Gitea, &forge);
    assert_eq!(promoted(&tea, 600).await, Reply::Refuse, "Gitea has no deployments");
}
