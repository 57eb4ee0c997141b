//! Programs that a step starts: argument lists, never a shell; every line they say is passed on at once.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::time::Instant;

use super::output::{MARK, say};
use crate::model::journal::Cause;

/// Longer lines are cut.
const LONGEST_LINE: usize = 4096;
/// Lines that are kept to look at afterwards.
const KEPT: usize = 1000;
/// Lines that go into a cause.
const TAIL: usize = 20;
/// How long output is still read when the program has ended and something it started holds the pipe open.
const GRACE: Duration = Duration::from_secs(2);

/// A program that is about to be started.
pub struct Command {
    argv: Vec<String>,
    dir: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    clean: bool,
    quiet: bool,
    stdin: Option<PathBuf>,
    timeout: Option<Duration>,
}

/// A program that has ended.
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// What it said, the last thousand lines.
    pub lines: Vec<String>,
    what: String,
}

impl Command {
    /// Starts `argv[0]` with the rest as arguments.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            dir: None,
            environment: Vec::new(),
            clean: false,
            quiet: false,
            stdin: None,
            timeout: None,
        }
    }

    /// In this folder.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// With these variables.
    #[must_use]
    pub fn env<K: Into<OsString>, V: Into<OsString>>(mut self, more: impl IntoIterator<Item = (K, V)>) -> Self {
        self.environment.extend(more.into_iter().map(|(key, value)| (key.into(), value.into())));
        self
    }

    /// Without any variable of ours.
    #[must_use]
    pub fn clean(mut self) -> Self {
        self.clean = true;
        self
    }

    /// Without passing its lines on.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// With this file as its standard input, which is empty otherwise.
    #[must_use]
    pub fn stdin(mut self, file: impl Into<PathBuf>) -> Self {
        self.stdin = Some(file.into());
        self
    }

    /// Killed, with everything it started, after this time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Runs it; anything but exit status 0 is a failure.
    pub async fn run(self) -> Result<Finished, Cause> {
        let finished = self.finish().await?;
        if finished.status.success() { Ok(finished) } else { Err(finished.cause()) }
    }

    /// Runs it to its end, whatever that is; a failure is only that it could not be started, or took too long.
    pub async fn finish(self) -> Result<Finished, Cause> {
        let what = shown(&self.argv);
        let Some(program) = self.argv.first() else { return Err(Cause::new("an empty command")) };
        let cannot = |error| Cause::new(format!("cannot start `{what}`: {error}"));
        // One pipe for both, so that lines stay in the order in which they were said.
        let (ours, theirs) = std::io::pipe().map_err(cannot)?;
        let mut command = tokio::process::Command::new(program);
        let stdin = match &self.stdin {
            Some(file) => std::fs::File::open(file).map_err(cannot)?.into(),
            None => Stdio::null(),
        };
        command.args(&self.argv[1..]).stdin(stdin).stdout(theirs.try_clone().map_err(cannot)?).stderr(theirs);
        command.process_group(0).kill_on_drop(true);
        if self.clean {
            command.env_clear();
        }
        command.envs(self.environment);
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        let mut child = command.spawn().map_err(cannot)?;
        // It still holds the other end of the pipe.
        drop(command);
        let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let mut lines = Lines::new(Receiver::from_owned_fd(ours.into()).map_err(cannot)?);

        let mut heard = Heard { lines: VecDeque::new(), quiet: self.quiet };
        let deadline = self.timeout.map(|timeout| Instant::now() + timeout);
        let mut ended: Option<(ExitStatus, Instant)> = None;
        let status = loop {
            let until = ended.map(|(_, at)| at + GRACE).or(deadline);
            tokio::select! {
                line = lines.next(), if !lines.ended => if let Some(line) = line {
                    heard.hear(line);
                },
                status = child.wait(), if ended.is_none() => {
                    let status = status.map_err(|error| Cause::new(format!("lost `{what}`: {error}")))?;
                    ended = Some((status, Instant::now()));
                }
                () = sleep_until(until), if until.is_some() => match ended {
                    Some((status, _)) => break status,
                    None => {
                        let time = self.timeout.unwrap_or_default().as_secs_f32();
                        let what = format!("`{what}` was stopped because it took longer than {time} s");
                        return Err(Cause { tail: heard.tail(), ..Cause::new(what) });
                    }
                },
            }
            if let Some((status, _)) = ended
                && lines.ended
            {
                group.0 = None;
                break status;
            }
        };
        Ok(Finished { status, lines: heard.lines.into(), what })
    }
}

impl Finished {
    /// Why it counts as a failure.
    #[must_use]
    pub fn cause(&self) -> Cause {
        use std::os::unix::process::ExitStatusExt;
        let how = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("failed with exit status {code}"),
            (_, Some(signal)) => {
                let name = Signal::try_from(signal).map_or("a signal", Signal::as_str);
                format!("was killed by {name}")
            }
            _ => "failed".to_owned(),
        };
        let from = self.lines.len().saturating_sub(TAIL);
        Cause { tail: self.lines[from..].to_vec(), ..Cause::new(format!("`{}` {how}", self.what)) }
    }
}

/// The program's process group: killed unless everything in it has closed its output.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            killpg(group, Signal::SIGKILL).ok();
        }
    }
}

/// The lines so far.
struct Heard {
    lines: VecDeque<String>,
    quiet: bool,
}

impl Heard {
    fn hear(&mut self, line: String) {
        if !self.quiet {
            say(&line);
        }
        if self.lines.len() == KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn tail(&self) -> Vec<String> {
        self.lines.iter().skip(self.lines.len().saturating_sub(TAIL)).cloned().collect()
    }
}

/// Reads lines without ever holding more than one that is cut.
struct Lines {
    reader: BufReader<Receiver>,
    line: Vec<u8>,
    cut: bool,
    ended: bool,
}

impl Lines {
    fn new(pipe: Receiver) -> Self {
        Self { reader: BufReader::new(pipe), line: Vec::new(), cut: false, ended: false }
    }

    /// The next line; `None` at the end. May be dropped and called again without losing anything.
    async fn next(&mut self) -> Option<String> {
        loop {
            // An error of the pipe is its end.
            let chunk = self.reader.fill_buf().await.unwrap_or_default();
            if chunk.is_empty() {
                self.ended = true;
                return if self.line.is_empty() { None } else { Some(self.take()) };
            }
            let (length, whole) =
                chunk.iter().position(|byte| *byte == b'\n').map_or((chunk.len(), false), |at| (at, true));
            let room = LONGEST_LINE - self.line.len();
            self.line.extend_from_slice(&chunk[..length.min(room)]);
            self.cut |= length > room;
            self.reader.consume(length + usize::from(whole));
            if whole {
                return Some(self.take());
            }
        }
    }

    fn take(&mut self) -> String {
        let mut text = plain(&String::from_utf8_lossy(&std::mem::take(&mut self.line)));
        if std::mem::take(&mut self.cut) {
            text.push('…');
        }
        text
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Text that is safe on anybody's terminal: no colours, no control characters, and never the report's mark.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            // A control sequence ends with its first letter or with one of a few signs.
            while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {}
        } else if c == '\t' || !(c.is_control() || c == MARK) {
            out.push(c);
        }
    }
    out
}

/// A command as people read it.
fn shown(argv: &[String]) -> String {
    let text = argv.join(" ");
    match text.char_indices().nth(160) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command::new(["sh", "-c", script])
    }

    #[tokio::test]
    async fn a_failure_names_the_command_the_status_and_the_last_lines() {
        let cause = sh("for i in $(seq 30); do echo line $i; done; echo bad >&2; exit 3").run().await.err().unwrap();
        assert!(
            cause.what.starts_with("`sh -c ") && cause.what.ends_with("failed with exit status 3"),
            "{}",
            cause.what
        );
        assert_eq!(cause.tail.len(), 20);
        assert!(
            cause.tail.contains(&"bad".to_owned()) && cause.tail.contains(&"line 30".to_owned()),
            "{:?}",
            cause.tail
        );
        let cause = sh("kill -TERM $$").run().await.err().unwrap();
        assert!(cause.what.ends_with("was killed by SIGTERM"), "{}", cause.what);
        let cause = Command::new(["/nonexistent/program"]).run().await.err().unwrap();
        assert!(cause.what.contains("cannot start `/nonexistent/program`"), "{}", cause.what);
    }

    #[tokio::test]
    async fn no_line_can_look_like_a_report_or_drive_a_terminal() {
        let script = r#"printf '\036{"report":1}\n\033[31mred\033[0m\r\n\377ok\n'; head -c 9000 /dev/zero | tr '\0' x; echo; printf last"#;
        let lines = sh(script).run().await.unwrap().lines;
        assert_eq!(lines[..3], [r#"{"report":1}"#, "red", "\u{fffd}ok"]);
        assert_eq!(lines[3].chars().count(), LONGEST_LINE + 1);
        assert_eq!(lines[4], "last");
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_dies_with_what_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let script = "sleep 600 & echo $! > pid; echo begun; wait";
        let cause = sh(script).dir(dir.path()).timeout(Duration::from_millis(300)).run().await.err().unwrap();
        assert!(cause.what.contains("took longer than 0.3 s"), "{}", cause.what);
        assert_eq!(cause.tail, ["begun"]);
        let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
        gone(pid.trim()).await;
    }

    #[tokio::test]
    async fn something_left_in_the_background_does_not_hold_the_step() {
        let dir = tempfile::tempdir().unwrap();
        let began = Instant::now();
        sh("sleep 600 & echo $! > pid").dir(dir.path()).run().await.unwrap();
        assert!(began.elapsed() < GRACE * 3);
        let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
        gone(pid.trim()).await;
    }

    #[tokio::test]
    async fn a_clean_child_inherits_nothing() {
        let lines = Command::new(["/usr/bin/env"]).clean().env([("A", "1")]).run().await.unwrap().lines;
        assert_eq!(lines, ["A=1"]);
    }

    /// Waits until the process has ended; a zombie has.
    async fn gone(pid: &str) {
        let over = Instant::now() + Duration::from_secs(10);
        loop {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                return;
            }
            assert!(Instant::now() < over, "{pid} still runs: {state}");
            tokio::task::yield_now().await;
        }
    }
}
