//! Webhooks against the real network face.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::door::{AFTER, Door, GITEA, GITHUB, GITHUB_PING, GITLAB, Request, SECRET, hex, now, sign};
use crate::hostile::hostile;

#[tokio::test]
async fn what_each_forge_sends_is_told_to_the_core() {
    let door = Door::open().await;
    let hint = |forge: &str, delivery: &str| {
        format!(
            "me: push {0} Hint {{ forge: Some({forge}), delivery: Some(Delivery({delivery:?})), \
             sender: Some(Sender(\"alice\")), revision: Some(Sha({AFTER:?})) }}",
            forge.to_lowercase()
        )
    };
    let forgejo = Request::gitea(GITEA)
        .with("X-Forgejo-Event", "push")
        .with("X-Forgejo-Delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473")
        .with("X-Forgejo-Signature", &hex(&sign(SECRET.as_bytes(), GITEA.as_bytes())));
    for request in [
        Request::github("push", GITHUB),
        Request::gitea(GITEA),
        forgejo,
        Request::gitlab(GITLAB),
        Request::gitlab_signed(GITLAB, now()),
        // A forge may be asked first whether it may send the body.
        Request::github("push", GITHUB).add("Expect", "100-continue"),
        Request::github("push", GITHUB).with("Content-Type", "application/json; charset=utf-8"),
    ] {
        let (status, answer) = door.send(&request).await;
        assert!(status == 202 || answer.contains("HTTP/1.1 202"), "{answer}");
        assert!(answer.ends_with("{\"push\":7}\n"), "{answer}");
    }
    let github = hint("Github", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    let gitea = hint("Gitea", "f6266f16-1bf3-46a5-9ea4-602e06ead473");
    let gitlab = hint("Gitlab", "13792a34-cac6-4fda-95a8-c58e00a3954e");
    let signed = hint("Gitlab", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f");
    assert_eq!(door.core.asked(), [github.clone(), gitea.clone(), gitea, gitlab, signed, github.clone(), github]);
    let (status, answer) = door.send(&Request::github("ping", GITHUB_PING)).await;
    assert_eq!((status, answer.ends_with("{\"pong\":true}\n")), (200, true), "{answer}");
    assert_eq!(door.core.asked().len(), 7);
}

/// A GitHub push with something else in it, signed as it is.
pub fn changed(from: &str, to: &str) -> Request {
    assert!(GITHUB.contains(from), "{from}");
    Request::github("push", GITHUB.replacen(from, to, 1))
}

pub fn push() -> Request {
    Request::github("push", GITHUB)
}

/// A program's request with a good key.
pub fn program(line: &str) -> Request {
    let body = format!("{{\"revision\":\"{AFTER}\"}}");
    let request = Request::github("push", body).without("X-Hub-Signature-256").without("X-GitHub-Event");
    request.line(line).add("Authorization", "Bearer tsh_good")
}

#[tokio::test]
async fn a_program_asks_for_a_commit_and_waits_for_how_it_ended() {
    let door = Door::open().await;
    let (status, answer) = door.send(&program("POST /v1/apps/tsh-erp/deployments HTTP/1.1")).await;
    assert_eq!(status, 202, "{answer}");
    let said: serde_json::Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&said["final"], &said["deployment"], &said["url"]),
        (&false.into(), &42.into(), &"/v1/requests/7".into())
    );
    let ask = |path: &str| program(&format!("GET {path} HTTP/1.1")).body("");
    let (status, answer) = door.send(&ask("/v1/requests/7")).await;
    assert!(status == 200 && answer.contains("\"state\":\"running\""), "{answer}");
    // It waits until there is an end to tell.
    let (status, answer) = door.send(&ask("/v1/deployments/42?wait=30")).await;
    assert!(status == 200 && answer.contains("\"exit\":3") && answer.contains("\"final\":true"), "{answer}");
    let asked = door.core.asked();
    assert_eq!(asked[0], "request tsh-erp 0d1a26e6");
    assert_eq!(asked[1], "answer Request(7)");
    assert!(asked.len() > 3 && asked[2..].iter().all(|one| one == "answer Deployment(DeploymentId(42))"), "{asked:?}");
}

/// What the manual tells a CI job to run, run as a runner does.
#[tokio::test]
async fn the_lines_for_ci_in_the_readme_end_with_the_end_of_the_deployment() {
    let door = Door::open().await;
    let readme = include_str!("../../README.md").lines().map(str::trim);
    let lines: Vec<&str> =
        readme.skip_while(|line| !line.starts_with("ask() {")).take_while(|line| *line != "```").collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    // Only the way there is another one.
    let script = format!("curl() {{ command curl --unix-socket \"$SOCKET\" \"$@\"; }}\n{}", lines.join("\n"));
    let job = tokio::process::Command::new("bash")
        .args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", &script])
        .env("SOCKET", &door.socket)
        .envs([("TSH_KEY", "tsh_good"), ("TSH_URL", "http://localhost"), ("SHA", AFTER)])
        .output();
    let job = tokio::time::timeout(Duration::from_secs(60), job).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&job.stdout), String::from_utf8_lossy(&job.stderr));
    assert_eq!(job.status.code(), Some(3), "{out}{err}");
    assert!(out.contains("\"state\": \"rolled-back\"") && !out.contains("tsh_good"), "{out}{err}");
    let asked = door.core.asked();
    assert_eq!(asked[0], "request tsh-erp 0d1a26e6");
    assert!(asked.len() > 2 && asked[1..].iter().all(|one| one == "answer Request(7)"), "{asked:?}");
}

#[tokio::test]
async fn no_hostile_request_starts_anything() {
    let door = Door::open().await;
    let all = hostile();
    assert!(all.len() >= 60, "{}", all.len());
    let mut wrong = Vec::new();
    for (name, expected, bytes) in &all {
        let (status, answer) = door.raw(bytes).await;
        if status != *expected {
            wrong.push(format!("{name}: {status} in place of {expected}: {:?}", answer.lines().last()));
        }
        assert_eq!(door.core.asked(), [""; 0], "{name} was told to the core");
        assert!(!answer.contains(SECRET), "{name}");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // It is as good as new, and that is what a good one looks like.
    assert_eq!(door.send(&push()).await.0, 202);
    eprintln!("{} hostile requests; at most {} KiB of memory", all.len(), door.peak());
    assert!(door.peak() < 64 << 10, "{} KiB", door.peak());
}

/// Begins a request and stops in the middle.
fn begin(door: &Door, bytes: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(&door.socket).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    // It may be pushed out meanwhile.
    let _ = stream.write_all(bytes);
    stream
}

#[tokio::test]
async fn who_is_slow_keeps_nobody_out_and_memory_stays_small() {
    let door = Door::open().await;
    let large = push().with("Content-Length", "1048576").body(vec![b'x'; 1 << 20]).bytes();
    let mut slow = Vec::new();
    for number in 0..300 {
        let part = match number % 3 {
            0 => &large[..40],
            1 => &large[..large.len() - (1 << 20)],
            _ => &large[..large.len() - 1],
        };
        slow.push(begin(&door, part));
        if number % 50 == 0 {
            let began = Instant::now();
            assert_eq!(door.send(&push()).await.0, 202);
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        }
    }
    // All who said something were let go, at the latest when their time was over.
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(!String::from_utf8_lossy(&rest).contains("202"));
    }
    // As large as allowed, and all at once.
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (socket, large) = (door.socket.clone(), large.clone());
            std::thread::spawn(move || {
                for _ in 0..12 {
                    let mut stream = UnixStream::connect(&socket).unwrap();
                    let _ = stream.write_all(&large);
                    let mut answer = String::new();
                    let _ = stream.read_to_string(&mut answer);
                    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 403"), "{answer}");
                }
            })
        })
        .collect();
    for thread in threads {
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap();
    }
    assert_eq!(door.core.asked().len(), 6);
    eprintln!("at most {} KiB of memory", door.peak());
    assert!(door.peak() < 64 << 10, "{} KiB", door.peak());
}

#[tokio::test]
async fn without_a_core_the_forge_is_told_to_come_again() {
    let mut door = Door::open().await;
    assert_eq!(door.send(&push()).await.0, 202);
    door.leave().await;
    let (status, answer) = door.send(&push()).await;
    assert!(status == 503 && answer.contains("retry-after: 10"), "{answer}");
    door.come_back().await;
    assert_eq!(door.send(&push()).await.0, 202);
}
