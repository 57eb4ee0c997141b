//! Against a real SSH server on the loopback, where there is one to start.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::tests::{fetch, git, repository};
use crate::steps::testing::{Bench, write};

const SSHD: &str = "/usr/sbin/sshd";

/// A server with the host keys `host-ed25519` and `host-ecdsa`, and a bench that may fetch from it.
struct Server {
    bench: Bench,
    port: u16,
    sshd: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.sshd.kill().unwrap();
        self.sshd.wait().unwrap();
    }
}

/// `None` where no server can be started.
#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
fn server() -> Option<Server> {
    let server = start();
    if server.is_none() {
        eprintln!("skipped: no SSH server can be started here");
    }
    server
}

fn start() -> Option<Server> {
    let mut bench = Bench::new();
    let dir = bench.root().to_owned();
    for (name, kind) in
        [("host-ed25519", "ed25519"), ("host-ecdsa", "ecdsa"), ("deploy", "ed25519"), ("other", "ed25519")]
    {
        let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(dir.join(name)).status();
        if !made.is_ok_and(|status| status.success()) {
            return None;
        }
    }
    let public = std::fs::read_to_string(dir.join("deploy.pub")).unwrap();
    write(&dir.join("authorized"), &public);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let d = dir.display();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/host-ed25519\nHostKey {d}/host-ecdsa\nPidFile none\n\
         AuthorizedKeysFile {d}/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
    );
    write(&dir.join("sshd_config"), &config);
    let mut sshd =
        Command::new(SSHD).args(["-D", "-e", "-f"]).arg(dir.join("sshd_config")).stderr(Stdio::piped()).spawn().ok()?;
    let mut lines = BufReader::new(sshd.stderr.take().unwrap()).lines().map_while(Result::ok);
    if !lines.any(|line| line.contains("Server listening")) {
        sshd.wait().unwrap();
        return None;
    }
    // It goes on talking; nobody may make it wait.
    std::thread::spawn(move || lines.for_each(drop));

    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    bench.settings.source.url = format!("ssh://{user}@127.0.0.1:{port}{d}/repository");
    bench.settings.source.key = Some(dir.join("deploy"));
    let server = Server { bench, port, sshd };
    server.know("host-ed25519");
    Some(server)
}

impl Server {
    fn path(&self, name: &str) -> PathBuf {
        self.bench.root().join(name)
    }

    /// A line of `known_hosts` with this key.
    fn line(&self, key: &str) -> String {
        let public = std::fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        format!("[127.0.0.1]:{} {public}", self.port)
    }

    /// Makes this the only known key of the server.
    fn know(&self, key: &str) {
        write(&self.path("known_hosts"), &self.line(key));
    }
}

#[tokio::test]
async fn fetches_with_the_deploy_key_from_a_known_host() {
    let Some(server) = server() else { return };
    let head = git(&repository(&server.bench), &["rev-parse", "HEAD"]);
    assert_eq!(fetch(&server.bench, None).await.unwrap().revision.as_str(), head);
}

#[tokio::test]
async fn asks_for_the_kind_of_host_key_that_is_known() {
    let Some(server) = server() else { return };
    repository(&server.bench);
    server.know("host-ecdsa");
    fetch(&server.bench, None).await.unwrap();
    let hashed = Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(server.path("known_hosts")).status().unwrap();
    assert!(hashed.success());
    assert!(std::fs::read_to_string(server.path("known_hosts")).unwrap().starts_with("|1|"));
    fetch(&server.bench, None).await.unwrap();
}

#[tokio::test]
async fn refuses_a_host_that_is_not_known() {
    let Some(server) = server() else { return };
    repository(&server.bench);
    for text in [String::new(), server.line("host-ed25519").replace("127.0.0.1", "127.0.0.2")] {
        write(&server.path("known_hosts"), &text);
        let cause = fetch(&server.bench, None).await.unwrap_err();
        assert!(
            cause.what.starts_with(&format!("the host key of 127.0.0.1:{} is not known", server.port)),
            "{cause:?}"
        );
        assert!(cause.what.contains("SHA256:") && cause.hint.unwrap().contains("ssh-keyscan"));
    }
}

#[tokio::test]
async fn refuses_a_host_whose_key_changed_or_is_revoked() {
    let Some(server) = server() else { return };
    repository(&server.bench);
    server.know("other");
    let cause = fetch(&server.bench, None).await.unwrap_err();
    assert!(cause.what.contains("shows another host key than it should: ssh-ed25519 SHA256:"), "{cause:?}");
    let line = server.line("host-ed25519");
    write(&server.path("known_hosts"), &format!("{line}@revoked {line}"));
    let cause = fetch(&server.bench, None).await.unwrap_err();
    assert!(cause.what.contains("shows a revoked host key"), "{cause:?}");
    assert!(!Path::new(&server.path("var/lib/tsh-agent-fetch/erp/trees")).exists());
}

#[tokio::test]
async fn says_which_key_the_server_does_not_accept() {
    let Some(mut server) = server() else { return };
    repository(&server.bench);
    server.bench.settings.source.key = Some(server.path("other"));
    let cause = fetch(&server.bench, None).await.unwrap_err();
    let other = server.path("other").display().to_string();
    assert!(cause.what.contains(&format!("does not accept the deploy key {other}")), "{cause:?}");
    server.bench.settings.source.key = Some(server.path("missing"));
    let cause = fetch(&server.bench, None).await.unwrap_err();
    assert!(cause.what.contains("the deploy key cannot be read"), "{cause:?}");
    server.bench.settings.source.key = None;
    let cause = fetch(&server.bench, None).await.unwrap_err();
    assert!(cause.what.contains("asks for a key, and none is configured"), "{cause:?}");
}

#[tokio::test]
async fn says_that_there_is_no_such_repository() {
    let Some(server) = server() else { return };
    let cause = fetch(&server.bench, None).await.unwrap_err();
    assert!(cause.what.starts_with("there is no repository at ssh://"), "{cause:?}");
}
