//! The network face as systemd starts it: the real program, a socket as its standard input, and a core that notes what
//! it is told.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;
use zbus::Connection;

use crate::support::{Bus, Script};

pub const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// The key in it.
pub const KEY: &[u8] = b"01234567890123456789012345678901";
pub const GITHUB: &str = include_str!("../support/payloads/github-push.json");
pub const GITHUB_PING: &str = include_str!("../support/payloads/github-ping.json");
pub const GITLAB: &str = include_str!("../support/payloads/gitlab-push.json");
pub const GITEA: &str = include_str!("../support/payloads/gitea-push.json");
pub const AFTER: &str = "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c";

pub struct Door {
    pub core: Arc<Script>,
    pub process: Child,
    pub socket: PathBuf,
    served: Option<Connection>,
    bus: Bus,
    _folder: TempDir,
}

impl Door {
    /// With one application for each forge, which has the forge's name.
    pub async fn open() -> Self {
        let bus = Bus::start();
        let core = Script::of([]);
        let served = bus.serve(&core).await;
        let folder = tempfile::tempdir().unwrap();
        let credentials = folder.path().join("credentials");
        std::fs::create_dir(&credentials).unwrap();
        for forge in ["github", "gitlab", "gitea"] {
            let hook = format!(r#"{{"forge":"{forge}","repository":"acme/erp","branch":"main","secret":"{SECRET}"}}"#);
            std::fs::write(credentials.join(forge), hook).unwrap();
        }
        let socket = folder.path().join("face.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_tsh-agent"))
            .args(["webhook", "serve"])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)
            .env("CREDENTIALS_DIRECTORY", &credentials)
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { core, process, socket, served: Some(served), bus, _folder: folder }
    }

    /// Sends these bytes and returns the status and the whole answer; status 0 if there was none. The core answers in
    /// this thread, so another one waits.
    pub async fn raw(&self, bytes: &[u8]) -> (u16, String) {
        let (socket, bytes) = (self.socket.clone(), bytes.to_owned());
        tokio::task::spawn_blocking(move || talk(&socket, &bytes)).await.unwrap()
    }

    pub async fn send(&self, request: &Request) -> (u16, String) {
        self.raw(&request.bytes()).await
    }

    /// The core goes away.
    pub async fn leave(&mut self) {
        self.served.take().unwrap().close().await.unwrap();
    }

    /// And is there again.
    pub async fn come_back(&mut self) {
        self.served = Some(self.bus.serve(&self.core).await);
    }

    /// The most memory that the process ever had, in KiB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }
}

fn talk(socket: &Path, bytes: &[u8]) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may have answered and gone before everything was sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok()).unwrap_or(0);
    (status, text)
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request that can be bent.
#[derive(Clone)]
pub struct Request {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    fn new(forge: &str, body: &[u8], headers: &[(&str, &str)]) -> Self {
        let line = format!("POST /v1/hooks/{forge} HTTP/1.1");
        let mut all: Vec<(String, String)> =
            vec![("Host".into(), "erp.example".into()), ("Content-Type".into(), "application/json".into())];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all.push(("Content-Length".into(), body.len().to_string()));
        Self { line, headers: all, body: body.to_owned() }
    }

    /// As GitHub sends it.
    pub fn github(event: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let signature = format!("sha256={}", hex(&sign(SECRET.as_bytes(), body)));
        let headers = [
            ("User-Agent", "GitHub-Hookshot/044aadd"),
            ("X-GitHub-Event", event),
            ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
            ("X-Hub-Signature-256", signature.as_str()),
        ];
        Self::new("github", body, &headers)
    }

    /// As Gitea sends it.
    pub fn gitea(body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let digits = hex(&sign(SECRET.as_bytes(), body));
        let hub = format!("sha256={digits}");
        let headers = [
            ("X-GitHub-Event", "push"),
            ("X-Gitea-Event", "push"),
            ("X-Gitea-Event-Type", "push"),
            ("X-Gitea-Delivery", "f6266f16-1bf3-46a5-9ea4-602e06ead473"),
            ("X-Gitea-Signature", digits.as_str()),
            ("X-Hub-Signature-256", hub.as_str()),
        ];
        Self::new("gitea", body, &headers)
    }

    /// As GitLab sends it with a secret token.
    pub fn gitlab(body: impl AsRef<[u8]>) -> Self {
        let headers = [
            ("X-Gitlab-Event", "Push Hook"),
            ("X-Gitlab-Event-UUID", "13792a34-cac6-4fda-95a8-c58e00a3954e"),
            ("X-Gitlab-Token", SECRET),
        ];
        Self::new("gitlab", body.as_ref(), &headers)
    }

    /// As GitLab sends it with a signing token, at this moment.
    pub fn gitlab_signed(body: impl AsRef<[u8]>, at: i64) -> Self {
        let body = body.as_ref();
        let id = "f5e5f430-f57b-4e6e-9fac-d9128cd7232f";
        let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
        let signature = format!("v1,{}", base64(&sign(KEY, &signed)));
        let headers = [
            ("X-Gitlab-Event", "Push Hook"),
            ("webhook-id", id),
            ("webhook-timestamp", &at.to_string()),
            ("webhook-signature", signature.as_str()),
        ];
        Self::new("gitlab", body, &headers)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        [text.as_bytes(), b"\r\n", &self.body].concat()
    }

    /// With another value of this header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self = self.without(name);
        self.add(name, value)
    }

    /// With this header, also if it is there already.
    pub fn add(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    /// With another body of its own length, and everything else as it was.
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_owned();
        let length = self.body.len().to_string();
        self.with("Content-Length", &length)
    }
}

pub fn sign(key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}
