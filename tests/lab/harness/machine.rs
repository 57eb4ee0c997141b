//! One machine of `scripts/lab`, lent to one test.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use nix::fcntl::{Flock, FlockArg};

use super::wait::{seconds, until};

/// Slots are shared by every test process on this computer, whichever checkout it belongs to. `TSH_LAB_SLOTS` has
/// another number, for a larger computer.
const SLOTS: u32 = 2;
const LOCKS: &str = "/run/lock/tsh-lab";
/// `scripts/lab` exits with this if it is at fault itself.
const LAB_FAILED: i32 = 125;

/// A machine. `Drop` says what is known if the test fails, and lends the machine to the next one.
pub struct Machine {
    pub name: String,
    _slot: Option<Flock<File>>,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// How many errors of its own it tells; what it quotes is indented.
    pub fn errors(&self) -> usize {
        self.err.lines().filter(|line| line.starts_with("error:")).count()
    }

    /// The output, if it was a success.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == 0, "exit code {}\n{}\n{}", self.code, self.out, self.err);
        self.out.trim_end().to_owned()
    }
}

impl Machine {
    /// The first machine that is free. It is not reset.
    pub fn lend() -> Self {
        let slots = std::env::var("TSH_LAB_SLOTS").map_or(SLOTS, |slots| slots.parse().unwrap());
        let (index, slot) =
            until("no lab is free", seconds(3600), || (0..slots).find_map(|index| Some((index, lock_now(index)?))));
        Self { name: format!("lab-t{index}"), _slot: Some(slot) }
    }

    /// A machine of this name, for whoever knows that nobody else uses it.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), _slot: None }
    }

    /// `scripts/lab VERB --name … ARGS`.
    pub fn lab(&self, verb: &str, args: &[&str]) -> Said {
        Said::of(&self.command(verb, args).stdin(Stdio::null()).output().unwrap())
    }

    /// The same, not begun yet.
    pub fn command(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lab"));
        command.args([verb, "--name", &self.name]).args(args);
        command
    }

    /// Runs a line of shell inside, as root.
    #[track_caller]
    pub fn sh(&self, line: &str) -> Said {
        let said = self.lab("exec", &["--", "bash", "-c", line]);
        assert!(said.code != LAB_FAILED, "{line}: {}", said.err);
        said
    }

    /// The same; it must succeed.
    #[track_caller]
    pub fn ok(&self, line: &str) -> String {
        let said = self.sh(line);
        assert!(said.code == 0, "{line}\nexit code {}\n{}\n{}", said.code, said.out, said.err);
        said.out.trim_end().to_owned()
    }

    /// The same, as another user.
    pub fn sh_as(&self, user: &str, line: &str) -> Said {
        self.lab("exec", &["--", "runuser", "-u", user, "--", "bash", "-c", line])
    }

    /// Begins a command inside. When the child is killed, the command inside gets SIGTERM.
    pub fn spawn(&self, argv: &[&str]) -> Child {
        let mut command = self.command("exec", &["--"]);
        command.args(argv).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub fn put(&self, from: &Path, to: &str) {
        self.lab("put", &[from.to_str().unwrap(), to]).ok();
    }

    /// Kills the whole machine at once.
    pub fn crash(&self) {
        self.lab("crash", &[]).ok();
    }

    /// Boots it again.
    pub fn up(&self) {
        self.lab("up", &[]).ok();
    }
}

fn lock_now(index: u32) -> Option<Flock<File>> {
    std::fs::create_dir_all(LOCKS).unwrap();
    let path = format!("{LOCKS}/test-{index}");
    Flock::lock(open(Path::new(&path)), FlockArg::LockExclusiveNonblock).ok()
}

/// Holds a lock of this computer until it is dropped.
pub fn lock(path: &Path) -> Flock<File> {
    Flock::lock(open(path), FlockArg::LockExclusive).unwrap()
}

fn open(path: &Path) -> File {
    OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap()
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !std::thread::panicking() || self.lab("exec", &["--", "true"]).code != 0 {
            return;
        }
        let look = "tsh-agent history; id=$(tsh-agent history --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0][\"id\"])') && tsh-agent show $id
            journalctl -b -o short-precise --no-pager -n 100 -u tsh-agent -u 'tsh-agent-*' -u tsh-erp -u tsh-erp-worker
            systemctl list-units --failed --no-pager --plain --no-legend; ls -l /srv/tsh-erp /srv/tsh-erp/*";
        let said = self.lab("exec", &["--", "bash", "-c", look]);
        eprintln!("---- the machine {} when it failed\n{}\n{}", self.name, said.out, said.err);
    }
}
