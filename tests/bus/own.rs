//! A bus of our own, and the real program on it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use tempfile::TempDir;
use tsh_agent::api;
use zbus::Connection;
use zbus::connection::Builder;

use crate::support::Script;

/// A message bus that lives as long as the test.
pub struct Bus {
    daemon: Child,
    pub address: String,
    _folder: TempDir,
}

impl Bus {
    pub fn start() -> Self {
        Self::with_rule("")
    }

    /// A bus with one more policy rule.
    pub fn with_rule(rule: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().display();
        let config = format!(
            "<busconfig><listen>unix:path={at}/bus</listen><auth>EXTERNAL</auth><policy context='default'>\
             <allow send_destination='*'/><allow receive_sender='*'/><allow own='*'/><allow user='*'/>{rule}\
             </policy></busconfig>"
        );
        std::fs::write(folder.path().join("bus.conf"), config).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={at}/bus.conf"))
            .args(["--print-address", "--nofork", "--nopidfile"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need dbus-daemon (package dbus)");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { daemon, address: address.trim().to_owned(), _folder: folder }
    }

    pub async fn serve(&self, core: &Arc<Script>) -> Connection {
        api::serve(Builder::address(self.address.as_str()), Arc::clone(core)).await.unwrap()
    }

    pub fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tsh-agent"));
        command.args(args).env("DBUS_SYSTEM_BUS_ADDRESS", &self.address).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub async fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().await.unwrap())
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// What the program left behind.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}
