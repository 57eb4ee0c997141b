//! Every answer of every forge, from the wire to the gate's own answer.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::gates::outside::{Elsewhere, RunState};
use crate::model::gates::testing::{Case, sha};
use crate::model::gates::{Ci, ForgeApi, Gate, Promotion, Reply, Rules};
use crate::model::names::Sha;
use crate::model::trigger::Forge as Kind;
use crate::steps::testing::Bench;

mod elsewhere;
#[path = "../../../tests/support/forge.rs"]
mod support;

use support::{Forge, gitea_status, github_check, github_status, gitlab};

const EARLY: &str = "2026-11-21T10:00:00Z";
const LATE: &str = "2026-11-21T11:00:00Z";
const REPOSITORY: &str = "owner/erp";

fn api(forge: &Forge, kind: Kind) -> ForgeApi {
    ForgeApi { kind, api: forge.address.clone(), repository: REPOSITORY.into(), token: None }
}

fn revision() -> Sha {
    sha('b')
}

fn ci() -> Ci {
    Ci {
        checks: vec!["test".into()],
        accept: vec![RunState::Success],
        wait: Duration::from_secs(60),
        every: Duration::from_secs(5),
    }
}

/// What the step finds out, as it goes to the core.
async fn outside(rules: Rules) -> Outside {
    let mut bench = Bench::new();
    bench.settings.gates = rules;
    match run(&bench.job(7, Work::Gates { revision: revision() })).await.unwrap() {
        Output::Outside(outside) => *outside,
        other => panic!("{other:?}"),
    }
}

/// What the gate answers to it.
async fn ask(rules: Rules, gate: Gate) -> (Reply, String) {
    let outside = outside(rules.clone()).await;
    let answer = Case { rules, outside, ..Case::default() }.judge(0, None).of(gate).cloned().unwrap();
    (answer.reply, answer.reason)
}

async fn ci_of(forge: &Forge, kind: Kind, ci: Ci) -> (Reply, String) {
    ask(Rules { ci: Some(ci), forge: Some(api(forge, kind)), ..Rules::default() }, Gate::Ci).await
}

const WAIT: Reply = Reply::Wait { until: Some(5_000) };

/// The paths that a forge is asked at, with empty lists, and where a check of its own kind is put.
fn empty(forge: &Forge, kind: Kind) {
    let commit = format!("/repos/{REPOSITORY}/commits/{}", revision());
    match kind {
        Kind::Github => {
            forge.has(&format!("{commit}/check-runs"), &json!({"total_count": 0, "check_runs": []}));
            forge.has(&format!("{commit}/statuses"), &json!([]));
        }
        Kind::Gitea => forge.has(&format!("{commit}/statuses"), &json!([])),
        Kind::Gitlab => {
            forge.has(&format!("/projects/owner%2Ferp/repository/commits/{}/statuses", revision()), &json!([]));
            forge.has("/projects/owner%2Ferp/pipelines", &json!([]));
        }
    }
}

fn put(forge: &Forge, kind: Kind, runs: &[Value]) {
    let commit = format!("/repos/{REPOSITORY}/commits/{}", revision());
    match kind {
        Kind::Github => {
            forge.has(&format!("{commit}/check-runs"), &json!({"total_count": runs.len(), "check_runs": runs}))
        }
        Kind::Gitea => forge.has(&format!("{commit}/statuses"), &json!(runs)),
        Kind::Gitlab => {
            forge.has(&format!("/projects/owner%2Ferp/repository/commits/{}/statuses", revision()), &json!(runs));
        }
    }
}

#[tokio::test]
async fn every_state_of_a_check_on_every_forge_has_its_answer() {
    use Reply::{Pass, Refuse};
    let check = |status: &str, conclusion: Option<&str>| github_check(1, "test", status, conclusion, EARLY);
    let mut cases: Vec<(Kind, Value, Reply, &str)> = vec![
        (Kind::Github, check("completed", Some("success")), Pass, "test ended well"),
        (Kind::Github, check("completed", Some("neutral")), Refuse, "test is neutral"),
        (Kind::Github, check("completed", Some("skipped")), Refuse, "test is skipped"),
        (Kind::Github, check("completed", Some("cancelled")), Refuse, "test is cancelled"),
        (Kind::Github, check("completed", None), Refuse, "test is failure"),
        (Kind::Github, check("something new", None), Refuse, "test is failure"),
    ];
    for bad in ["failure", "timed_out", "action_required", "stale", "startup_failure", "something new"] {
        cases.push((Kind::Github, check("completed", Some(bad)), Refuse, "test is failure"));
    }
    for pending in ["queued", "in_progress", "waiting", "requested", "pending"] {
        cases.push((Kind::Github, check(pending, None), WAIT, "test is pending"));
    }
    for (status, reply, reason) in [
        ("success", Pass, "test ended well"),
        ("failed", Refuse, "test is failure"),
        ("canceled", Refuse, "test is cancelled"),
        ("canceling", Refuse, "test is cancelled"),
        ("skipped", Refuse, "test is skipped"),
        ("something new", Refuse, "test is failure"),
        ("created", WAIT, "test is pending"),
        ("waiting_for_resource", WAIT, "test is pending"),
        ("preparing", WAIT, "test is pending"),
        ("pending", WAIT, "test is pending"),
        ("running", WAIT, "test is pending"),
        ("manual", WAIT, "test is pending"),
        ("scheduled", WAIT, "test is pending"),
    ] {
        cases.push((Kind::Gitlab, gitlab(1, "test", status, EARLY), reply, reason));
    }
    for (status, reply, reason) in [
        ("success", Pass, "test ended well"),
        ("pending", WAIT, "test is pending"),
        ("error", Refuse, "test is failure"),
        ("failure", Refuse, "test is failure"),
        ("warning", Refuse, "test is neutral"),
        ("skipped", Refuse, "test is skipped"),
        ("something new", Refuse, "test is failure"),
    ] {
        cases.push((Kind::Gitea, gitea_status(1, "test", status, EARLY), reply, reason));
    }
    for kind in Kind::ALL {
        cases.push((kind, json!({"name": "lint", "context": "lint", "id": 1}), WAIT, "test is absent"));
        cases.push((kind, json!({}), WAIT, "test is absent"));
    }
    let forge = Forge::start();
    for (kind, run, reply, reason) in cases {
        empty(&forge, kind);
        put(&forge, kind, std::slice::from_ref(&run));
        assert_eq!(ci_of(&forge, kind, ci()).await, (reply, reason.to_owned()), "{kind:?}: {run}");
    }
}

#[tokio::test]
async fn the_newest_run_decides_whatever_order_they_come_in() {
    let forge = Forge::start();
    let make = |kind, id, well: bool, at| match (kind, well) {
        (Kind::Github, true) => github_check(id, "test", "completed", Some("success"), at),
        (Kind::Github, false) => github_check(id, "test", "completed", Some("failure"), at),
        (Kind::Gitlab, true) => gitlab(id, "test", "success", at),
        (Kind::Gitlab, false) => gitlab(id, "test", "failed", at),
        (Kind::Gitea, true) => gitea_status(id, "test", "success", at),
        (Kind::Gitea, false) => gitea_status(id, "test", "failure", at),
    };
    for kind in Kind::ALL {
        for (first, second, reply) in [
            ((1, true, EARLY), (2, false, LATE), Reply::Refuse),
            ((1, false, EARLY), (2, true, LATE), Reply::Pass),
            ((9, true, EARLY), (2, false, LATE), Reply::Refuse),
            ((1, true, EARLY), (2, false, EARLY), Reply::Refuse),
        ] {
            let [a, b] = [first, second].map(|(id, well, at)| make(kind, id, well, at));
            for runs in [[a.clone(), b.clone()], [b, a]] {
                empty(&forge, kind);
                put(&forge, kind, &runs);
                assert_eq!(ci_of(&forge, kind, ci()).await.0, reply, "{kind:?}: {runs:?}");
            }
        }
    }
}

#[tokio::test]
async fn two_of_one_name_must_both_agree_and_a_pipeline_is_a_check_of_its_own() {
    let forge = Forge::start();
    empty(&forge, Kind::Github);
    put(&forge, Kind::Github, &[github_check(1, "test", "completed", Some("failure"), EARLY)]);
    let statuses = format!("/repos/{REPOSITORY}/commits/{}/statuses", revision());
    forge.has(&statuses, &json!([github_status(2, "test", "success", LATE)]));
    assert_eq!(ci_of(&forge, Kind::Github, ci()).await.0, Reply::Refuse, "a status does not speak for a check");
    put(&forge, Kind::Github, &[github_check(3, "test", "completed", Some("success"), LATE)]);
    assert_eq!(ci_of(&forge, Kind::Github, ci()).await.0, Reply::Pass);

    empty(&forge, Kind::Gitlab);
    let pipelines = |status: &str| json!([gitlab(8, "", status, LATE), gitlab(7, "", "failed", EARLY)]);
    let pipeline = || Ci { checks: vec!["pipeline".into()], ..ci() };
    for (status, reply) in [("success", Reply::Pass), ("failed", Reply::Refuse), ("running", WAIT)] {
        forge.has("/projects/owner%2Ferp/pipelines", &pipelines(status));
        assert_eq!(ci_of(&forge, Kind::Gitlab, pipeline()).await.0, reply, "{status}");
    }
}

#[tokio::test]
async fn what_root_accepts_passes_and_all_named_checks_must() {
    let forge = Forge::start();
    empty(&forge, Kind::Github);
    let skipped = github_check(1, "test", "completed", Some("skipped"), EARLY);
    put(&forge, Kind::Github, std::slice::from_ref(&skipped));
    let lenient = Ci { accept: vec![RunState::Success, RunState::Skipped], ..ci() };
    assert_eq!(ci_of(&forge, Kind::Github, lenient.clone()).await.0, Reply::Pass);
    let both = Ci { checks: vec!["test".into(), "lint".into()], ..lenient };
    assert_eq!(ci_of(&forge, Kind::Github, both.clone()).await, (WAIT, "lint is absent".to_owned()));
    put(&forge, Kind::Github, &[skipped, github_check(2, "lint", "completed", Some("failure"), EARLY)]);
    assert_eq!(ci_of(&forge, Kind::Github, both).await, (Reply::Refuse, "lint is failure".to_owned()));
}

#[tokio::test]
async fn a_forge_that_does_not_answer_never_agrees() {
    let forge = Forge::start();
    let path = format!("/repos/{REPOSITORY}/commits/{}/check-runs", revision());
    for (status, headers, body, reply) in [
        (500, "", "", WAIT),
        (502, "", "<html>", WAIT),
        (503, "", "", WAIT),
        (429, "", "", WAIT),
        (422, "", r#"{"message":"No commit found for SHA"}"#, WAIT),
        (403, "x-ratelimit-remaining: 0\r\n", r#"{"message":"API rate limit exceeded"}"#, WAIT),
        (200, "", "not JSON", WAIT),
        (200, "", "{}", WAIT),
        (200, "", "[]", WAIT),
        (401, "", r#"{"message":"Bad credentials"}"#, Reply::Refuse),
        (403, "x-ratelimit-remaining: 59\r\n", r#"{"message":"Resource not accessible"}"#, Reply::Refuse),
        (404, "", r#"{"message":"Not Found"}"#, Reply::Refuse),
        (301, "Location: http://127.0.0.1:1/\r\n", "", Reply::Refuse),
    ] {
        empty(&forge, Kind::Github);
        forge.answers(&path, status, headers, body);
        let (found, reason) = ci_of(&forge, Kind::Github, ci()).await;
        assert_eq!(found, reply, "{status} {body}: {reason}");
    }
    let mut gone = Forge::start();
    gone.address = "http://127.0.0.1:1".into();
    assert_eq!(ci_of(&gone, Kind::Github, ci()).await.0, WAIT);
    let rules = Rules { ci: Some(ci()), forge: Some(api(&gone, Kind::Gitea)), ..Rules::default() };
    let outside = outside(rules.clone()).await;
    let case = Case { rules, outside, ..Case::default() };
    let first = case.judge(0, None);
    assert_eq!(case.judge(60_000, Some(&first)).of(Gate::Ci).unwrap().reply, Reply::Refuse, "patience ends");
}

#[tokio::test]
async fn all_pages_are_read() {
    let forge = Forge::start();
    empty(&forge, Kind::Gitea);
    // The same page for ever: it gives up instead of believing that it has seen everything.
    let full: Vec<Value> = (0..50).map(|id| gitea_status(id, "other", "success", EARLY)).collect();
    put(&forge, Kind::Gitea, &full);
    assert_eq!(ci_of(&forge, Kind::Gitea, ci()).await.0, Reply::Refuse);
    let asked = forge.asked.lock().unwrap().join("");
    assert!(asked.contains("limit=50&page=1 ") && asked.contains("limit=50&page=20 "), "{asked}");
}

#[tokio::test]
async fn the_token_goes_to_the_forge_in_its_own_header_and_nowhere_else() {
    let forge = Forge::start();
    let web = Web::new(Some("s3cret".into())).unwrap();
    for (kind, header) in [
        (Kind::Github, "authorization: bearer s3cret\r\n"),
        (Kind::Gitlab, "private-token: s3cret\r\n"),
        (Kind::Gitea, "authorization: token s3cret\r\n"),
    ] {
        empty(&forge, kind);
        checks::ask(&web, &api(&forge, kind), &revision()).await;
        let asked = forge.asked.lock().unwrap().drain(..).collect::<String>();
        assert!(asked.to_lowercase().contains(header), "{asked}");
    }
    promotion::url(&web, &format!("{}/health", forge.address), "/revision", None, &[].into()).await;
    assert!(!forge.asked.lock().unwrap().join("").contains("s3cret"));
}
