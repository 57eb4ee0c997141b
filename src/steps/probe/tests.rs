//! Against small servers and real processes.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::config::Http;
use crate::steps::testing::{Bench, any_sha};

/// A server that gives one answer after the other, the last one for ever; an empty answer is a closed connection.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

async fn server(answers: Vec<String>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server { port: listener.local_addr().unwrap().port(), requests: Arc::default() };
    let requests = Arc::clone(&server.requests);
    tokio::spawn(async move {
        let mut answers = answers.into_iter().peekable();
        let mut answer = String::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            requests.lock().unwrap().push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            answer = answers.next().unwrap_or(answer);
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    server
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nX-App: erp\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn healthy() -> String {
    answer("200 OK", &json!({"status": "ok", "revision": any_sha(), "schema": "ab12"}).to_string())
}

fn http(port: u16) -> Http {
    Http {
        url: format!("http://127.0.0.1:{port}/health"),
        host: None,
        status: 200,
        body: None,
        json: BTreeMap::new(),
        headers: BTreeMap::new(),
        revision: None,
        schema: None,
        timeout: Duration::from_secs(2),
    }
}

fn bench(probes: Vec<Probe>) -> Bench {
    let mut bench = Bench::new();
    std::fs::create_dir_all(bench.release(42).join("sub")).unwrap();
    std::fs::create_dir_all(bench.release(41)).unwrap();
    bench.settings.probe.probes = probes;
    bench
}

async fn probe(bench: &Bench, pids: &[u32], bake: Option<u64>) -> Result<String, Cause> {
    let units = pids.iter().map(|pid| Watched { unit: "erp.service".parse().unwrap(), pid: *pid }).collect();
    match run(&bench.job(
        42,
        Work::Probe { units, revision: Some(any_sha()), schema: vec!["ab12".parse().unwrap()], bake, slot: None },
    ))
    .await?
    {
        Output::Probed { how } => Ok(how),
        other => panic!("{other:?}"),
    }
}

/// One look, without waiting for anything to become better.
async fn look(bench: &Bench, pids: &[u32]) -> Result<String, Cause> {
    probe(bench, pids, Some(0)).await
}

#[tokio::test]
async fn everything_that_must_be_in_an_answer_is_looked_for() {
    let port = server(vec![healthy()]).await.port;
    type Change = fn(&mut Http);
    let cases: [(Change, &str); 12] = [
        (|_| {}, ""),
        (|http| http.body = Some("\"ok\"".to_owned()), ""),
        (|http| drop(http.json.insert("/status".to_owned(), json!("ok"))), ""),
        (|http| drop(http.headers.insert("x-app".to_owned(), "erp".to_owned())), ""),
        (|http| (http.revision, http.schema) = (Some("/revision".to_owned()), Some("/schema".to_owned())), ""),
        (|http| http.schema = Some("/status".to_owned()), "it sees schema revision \"ok\", not ab12"),
        (|http| http.status = 204, "status 200, not 204: {"),
        (|http| http.body = Some("fine".to_owned()), r#"the answer does not contain "fine""#),
        (|http| drop(http.json.insert("/status".to_owned(), json!("up"))), r#"/status is "ok", not "up""#),
        (
            |http| drop(http.headers.insert("x-app".to_owned(), "shop".to_owned())),
            r#"header x-app is "erp", not "shop""#,
        ),
        (|http| http.revision = Some("/nothing".to_owned()), "/nothing names no revision"),
        (|http| http.revision = Some("/status".to_owned()), r#"answers with revision "ok", not 01234567"#),
    ];
    for (change, why) in cases {
        let mut http = http(port);
        change(&mut http);
        match look(&bench(vec![Probe::Http(Box::new(http))]), &[]).await {
            Ok(how) => assert!(why.is_empty() && how.starts_with("1 probe and 0 processes healthy"), "{why}: {how}"),
            Err(cause) => assert!(!why.is_empty() && cause.what.contains(why), "{why}: {cause:?}"),
        }
    }
}

#[tokio::test]
async fn another_release_that_answers_is_not_this_one() {
    let other = answer("200 OK", &json!({"revision": "abcd1234".repeat(5)}).to_string());
    let mut http = http(server(vec![other]).await.port);
    http.revision = Some("/revision".to_owned());
    let bench = bench(vec![Probe::Http(Box::new(http))]);
    let cause = look(&bench, &[]).await.unwrap_err();
    assert!(cause.what.contains("answers with revision abcd1234 of another release, not 01234567"), "{cause:?}");
}

#[tokio::test]
async fn rounds_must_pass_in_a_row() {
    let bad = || answer("500 Internal Server Error", "boom");
    let server = server(vec![bad(), healthy(), healthy(), bad(), healthy(), healthy(), healthy()]).await;
    let mut http = http(server.port);
    http.host = Some("erp.example.org".to_owned());
    let mut bench = bench(vec![Probe::Http(Box::new(http))]);
    bench.settings.probe.successes = 3;
    probe(&bench, &[], None).await.unwrap();
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests.len(), 7);
    assert!(requests[0].to_lowercase().contains("host: erp.example.org\r\n"), "{}", requests[0]);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let away = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let bench = bench(vec![Probe::Http(Box::new(http(server(vec![away.to_owned()]).await.port)))]);
    assert!(look(&bench, &[]).await.unwrap_err().what.ends_with("status 302, not 200"));
}

#[tokio::test]
async fn silence_and_refusal_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut silent = http(listener.local_addr().unwrap().port());
    silent.timeout = Duration::from_millis(50);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tcp = Probe::Tcp { address: closed.to_string(), timeout: Duration::from_secs(1) };
    let mut bench = bench(vec![Probe::Http(Box::new(silent)), Probe::Http(Box::new(http(closed.port()))), tcp]);
    bench.settings.probe.deadline = Duration::from_secs(1);
    let cause = probe(&bench, &[], None).await.unwrap_err();
    for why in
        ["not healthy after 1 s", "/health: no answer within 0.05 s", "/health: Connection refused", "TCP 127.0.0.1:"]
    {
        assert!(cause.what.contains(why), "{why}: {cause:?}");
    }
    bench.settings.probe.probes =
        vec![Probe::Tcp { address: listener.local_addr().unwrap().to_string(), timeout: Duration::from_secs(1) }];
    probe(&bench, &[], None).await.unwrap();
}

#[tokio::test]
async fn a_command_runs_in_the_release_without_our_variables() {
    let argv = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
    let command = |script: &str| Probe::Command { argv: argv(script), timeout: Duration::from_secs(5) };
    let mut bench = bench(vec![command(r#"test "$(basename "$PWD")" = sub && test -z "$CARGO_MANIFEST_DIR""#)]);
    bench.settings.build.workdir = "sub".into();
    look(&bench, &[]).await.unwrap();
    bench.settings.probe.probes = vec![command("echo the reason; exit 4")];
    let cause = look(&bench, &[]).await.unwrap_err();
    assert!(cause.what.contains("failed with exit status 4") && cause.tail == ["the reason"], "{cause:?}");
}

/// A process that works in `dir` until it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().unwrap();
    }
}

fn process(dir: &std::path::Path) -> Process {
    Process(std::process::Command::new("sleep").arg("600").current_dir(dir).stdin(Stdio::null()).spawn().unwrap())
}

#[tokio::test]
async fn the_process_must_run_from_the_release() {
    let bench = bench(Vec::new());
    let here = process(&bench.release(42).join("sub"));
    let how = look(&bench, &[here.0.id(), 0]).await.unwrap();
    assert!(how.starts_with("0 probes and 1 process healthy"), "{how}");

    let other = process(&bench.release(41));
    let cause = look(&bench, &[here.0.id(), other.0.id()]).await.unwrap_err();
    let text = format!("erp.service (process {}) runs from {}, not from 42", other.0.id(), bench.release(41).display());
    assert!(cause.what.contains(&text), "{cause:?}");

    let nowhere = process(std::path::Path::new("/"));
    let cause = look(&bench, &[nowhere.0.id()]).await.unwrap_err();
    assert!(cause.what.contains("does not run from a release: it works in /"), "{cause:?}");
}

#[tokio::test]
async fn a_program_inside_the_release_is_proof_wherever_it_works() {
    let bench = bench(Vec::new());
    let spawn = |release: u32| {
        let program = bench.release(release).join("sleep");
        std::fs::copy("/bin/sleep", &program).unwrap();
        Process(std::process::Command::new(program).arg("600").current_dir("/").spawn().unwrap())
    };
    let (new, old) = (spawn(42), spawn(41));
    look(&bench, &[new.0.id()]).await.unwrap();
    assert!(look(&bench, &[old.0.id()]).await.unwrap_err().what.contains("not from 42"));
}

#[tokio::test]
async fn a_process_that_has_ended_is_not_waited_for() {
    let mut bench = bench(Vec::new());
    bench.settings.probe.deadline = Duration::from_secs(600);
    let pid = process(&bench.release(42)).0.id();
    let cause = probe(&bench, &[pid], None).await.unwrap_err();
    assert_eq!(cause.what, format!("the release is not healthy: erp.service (process {pid}) has ended"));
}

#[tokio::test]
async fn the_bake_forgives_one_bad_answer_but_not_two() {
    let bad = || answer("500 Internal Server Error", "boom");
    let once = server(vec![healthy(), bad(), healthy()]).await;
    let bench1 = bench(vec![Probe::Http(Box::new(http(once.port)))]);
    let how = probe(&bench1, &[], Some(120)).await.unwrap();
    assert!(how.ends_with("rounds over 0.12 s"), "{how}");
    assert!(once.requests.lock().unwrap().len() >= 4);

    let twice = server(vec![healthy(), bad(), bad(), healthy()]).await;
    let bench2 = bench(vec![Probe::Http(Box::new(http(twice.port)))]);
    let cause = probe(&bench2, &[], Some(60_000)).await.unwrap_err();
    assert!(
        cause.what.contains("did not stay healthy") && cause.what.contains("status 500, not 200: boom"),
        "{cause:?}"
    );
}

#[tokio::test]
async fn the_bake_forgives_no_process() {
    let server = server(vec![healthy()]).await;
    let bench = bench(vec![Probe::Http(Box::new(http(server.port)))]);
    let mut process = process(&bench.release(42));
    let pids = [process.0.id()];
    let (outcome, ()) = tokio::join!(probe(&bench, &pids, Some(60_000)), async {
        // In the middle of the bake: after a round that passed.
        while server.requests.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        process.0.kill().unwrap();
        process.0.wait().unwrap();
    });
    assert!(outcome.unwrap_err().what.contains("has ended"));
}
