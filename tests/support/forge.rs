//! A forge of our own: it answers with the shapes that GitHub, GitLab and Gitea have been seen to answer with.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// What it answers: path without its query → status, headers, body.
type Answers = Arc<Mutex<BTreeMap<String, (u16, String, String)>>>;

/// The server; it lives as long as the test.
pub struct Forge {
    pub address: String,
    answers: Answers,
    /// Every request: its first line and its headers.
    pub asked: Arc<Mutex<Vec<String>>>,
}

impl Forge {
    pub fn start() -> Self {
        Self::at("127.0.0.1")
    }

    /// At this address of this machine.
    pub fn at(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (answers, asked) = (Answers::default(), Arc::<Mutex<Vec<String>>>::default());
        let (all, heard) = (Arc::clone(&answers), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut request = String::new();
                while reader.read_line(&mut request).is_ok_and(|read| read > 2) {}
                let path = request.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap().to_owned();
                heard.lock().unwrap().push(request);
                let missing = (404, String::new(), json!({"message": "Not Found"}).to_string());
                let (status, headers, body) = all.lock().unwrap().get(&path).cloned().unwrap_or(missing);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
                    body.len()
                );
            }
        });
        Self { address, answers, asked }
    }

    pub fn answers(&self, path: &str, status: u16, headers: &str, body: &str) {
        self.answers.lock().unwrap().insert(path.to_owned(), (status, headers.to_owned(), body.to_owned()));
    }

    pub fn has(&self, path: &str, body: &Value) {
        self.answers(path, 200, "", &body.to_string());
    }
}

/// A check run of GitHub's, as `GET /repos/{owner}/{repo}/commits/{ref}/check-runs` has it.
pub fn github_check(id: u64, name: &str, status: &str, conclusion: Option<&str>, started: &str) -> Value {
    json!({
        "id": id, "name": name, "head_sha": "b".repeat(40), "status": status, "conclusion": conclusion,
        "started_at": started, "completed_at": conclusion.map(|_| started), "external_id": "", "check_suite": {"id": 5},
        "app": {"id": 15368, "slug": "github-actions", "name": "GitHub Actions"},
        "output": {"title": null, "summary": null, "annotations_count": 0}, "pull_requests": [],
    })
}

/// A status, as GitHub's `GET /repos/{owner}/{repo}/commits/{ref}/statuses` has it.
pub fn github_status(id: u64, context: &str, state: &str, created: &str) -> Value {
    json!({
        "id": id, "context": context, "state": state, "created_at": created, "updated_at": created, "target_url": null,
        "description": "as told", "creator": {"login": "ci-bot", "type": "Bot"},
    })
}

/// A job as GitLab's `GET /projects/:id/repository/commits/:sha/statuses` has it, and a pipeline without the name.
pub fn gitlab(id: u64, name: &str, status: &str, created: &str) -> Value {
    json!({
        "id": id, "sha": "b".repeat(40), "ref": "main", "status": status, "name": name, "created_at": created,
        "started_at": null, "finished_at": null, "allow_failure": false, "author": {"username": "ci"}, "source": "push",
    })
}

/// A status as Gitea's and Forgejo's `GET /repos/{owner}/{repo}/commits/{ref}/statuses` has it.
pub fn gitea_status(id: u64, context: &str, status: &str, created: &str) -> Value {
    json!({
        "id": id, "context": context, "status": status, "created_at": created, "updated_at": created,
        "description": "as told", "creator": {"login": "gitea-actions"}, "target_url": "/owner/erp/actions/runs/7",
    })
}
