//! Watching a deployment to its end. The deployment belongs to the agent: whatever happens here, a lost
//! terminal, Ctrl-C, a restart of the agent, it goes on.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::groups::Groups;
use super::render::{Look, ending, progress::Progress};
use super::{Failure, journal, say, terminal};
use crate::api::client::{Client, Error, News, Watch};
use crate::api::plain;
use crate::model::names::DeploymentId;
use crate::model::outcome::Exit;
use crate::model::step::Step;
use crate::model::view::DeploymentView;
use crate::steps::output::MARK;

/// How long the agent may be away; an upgrade takes a few seconds.
const AWAY: Duration = Duration::from_secs(60);
/// A line that is longer than this without an end is shown in pieces.
const LONGEST: usize = 16 * 1024;

/// A connection that listens already, so that nothing is missed between asking and watching.
pub struct Session {
    /// To ask with.
    pub client: Client,
    watch: Watch,
    detach: Detach,
}

impl Session {
    /// Connects and listens.
    pub async fn open() -> Result<Self, Failure> {
        let client = Client::connect(None).await?;
        let watch = client.subscribe().await?;
        let detach = Detach::new()
            .map_err(|error| Failure::new(Exit::Untouched, format!("signals cannot be received: {error}")))?;
        Ok(Self { client, watch, detach })
    }

    /// Shows the deployment until it ends.
    pub async fn follow(mut self, id: DeploymentId, verbose: bool) -> Result<Exit, Failure> {
        let said = verbose.then(Said::default);
        let (progress, waits) = (Progress::default(), String::new());
        let mut screen = Screen { progress, waits, said, groups: Groups::here(), grouped: None };
        let every = if verbose || terminal::is_live() { Duration::from_secs(1) } else { Duration::from_secs(5) };
        loop {
            let news = match self.client.show(id).await {
                Ok(mut view) => {
                    screen.show(&self.client, &view).await;
                    if let Some(verdict) = view.verdict {
                        journal::complete(&mut view);
                        return Ok(ended(&view, verdict.exit()));
                    }
                    // A signal is only a wake-up, and may be missed: look again now and then.
                    tokio::select! {
                        news = self.watch.next(id) => news,
                        () = tokio::time::sleep(every) => News::Changed,
                        () = self.detach.asked() => return Ok(screen.detach(id)),
                    }
                }
                Err(Error::Lost | Error::NotRunning) => News::Lost,
                Err(error) => return Err(error.into()),
            };
            if news == News::Lost {
                screen.note("the agent is away; the deployment goes on, waiting for the agent to come back");
                tokio::select! {
                    watch = self.client.come_back(AWAY) => self.watch = watch.map_err(|_| lost(id))?,
                    () = self.detach.asked() => return Ok(screen.detach(id)),
                }
            }
        }
    }
}

fn ended(view: &DeploymentView, exit: Exit) -> Exit {
    match view.verdict {
        Some(verdict) if exit != Exit::Good => {
            say::err(&ending::bad(view, verdict, &terminal::look(&io::stderr())));
        }
        _ => say::out(&ending::good(view, &terminal::look(&io::stdout()))),
    }
    exit
}

fn lost(id: DeploymentId) -> Failure {
    let away = AWAY.as_secs();
    Failure::new(Exit::Unknown, format!("the agent has been away for {away} s; how deployment {id} ends is not known"))
        .now("what was begun is settled when the agent is back")
        .hint(format!("`systemctl status tsh-agent`, then `tsh-agent watch {id}`"))
}

struct Screen {
    progress: Progress,
    /// What it waited for when that was last said.
    waits: String,
    said: Option<Said>,
    groups: Option<Groups>,
    /// The step whose lines are being folded.
    grouped: Option<Step>,
}

impl Screen {
    async fn show(&mut self, client: &Client, view: &DeploymentView) {
        let look = terminal::look(&io::stdout());
        say::out(&self.progress.heading(view, &look));
        loop {
            self.show_said(client, view, &look).await;
            let running = self.progress.pending(view).first().is_some_and(|attempt| attempt.state == "running");
            if !running || view.verdict.is_some() {
                self.end_group(look.now);
            }
            match self.progress.finished(view, &look) {
                Some(line) => say::out(&line),
                None => break,
            }
        }
        self.show_waiting(view, &look);
        if terminal::is_live() {
            say::out(&self.progress.running(view, &look));
        }
    }

    /// What it waits for, whenever that is another thing; a live line alone would cut it off.
    fn show_waiting(&mut self, view: &DeploymentView, look: &Look) {
        let waiting = self.progress.pending(view).first().filter(|attempt| attempt.state == "waiting");
        let words = waiting.map(|attempt| attempt.detail.clone()).unwrap_or_default();
        if words != self.waits && !words.is_empty() {
            say::out(&self.progress.waits(&words, look));
        }
        self.waits = words;
    }

    /// What the first unfinished step has said since the last time.
    async fn show_said(&mut self, client: &Client, view: &DeploymentView, look: &Look) {
        let (Some(said), Some(attempt)) = (&mut self.said, self.progress.pending(view).first()) else { return };
        if attempt.step.unit_kind().is_none() {
            return;
        }
        said.turn_to(attempt.step, attempt.began);
        // What was said is an extra: without it the deployment is shown all the same.
        while let Ok((bytes, next)) = client.output(view.id, attempt.step, said.offset).await {
            if bytes.is_empty() {
                break;
            }
            said.offset = next;
            let lines = said.lines(&bytes);
            if let (Some(groups), None, false) = (self.groups, self.grouped, lines.is_empty()) {
                say::out(&groups.begin(attempt.step, look.now));
                self.grouped = Some(attempt.step);
            }
            say::out(&self.progress.said(&lines, look));
        }
        if attempt.state != "running" {
            say::out(&self.progress.said(&said.lines(b"\n"), look));
        }
    }

    /// Ends the group of a step that is over; its own line then stands outside, where it is seen.
    fn end_group(&mut self, now: i64) {
        if let (Some(groups), Some(step)) = (self.groups, self.grouped.take()) {
            say::out(&groups.end(step, now));
        }
    }

    fn note(&mut self, text: &str) {
        say::out(&self.progress.note(text, &terminal::look(&io::stdout())));
    }

    fn detach(&mut self, id: DeploymentId) -> Exit {
        say::out(&self.progress.clear());
        say::err(&format!(
            "\ndetached: deployment {id} goes on, its result is not known yet\n\
             `tsh-agent watch {id}` to come back, `tsh-agent abort {id}` to stop it\n"
        ));
        Exit::Unknown
    }
}

/// How far the output of one attempt was read.
#[derive(Default)]
struct Said {
    of: Option<(Step, i64)>,
    offset: u64,
    rest: Vec<u8>,
}

impl Said {
    fn turn_to(&mut self, step: Step, began: i64) {
        if self.of != Some((step, began)) {
            *self = Self { of: Some((step, began)), ..Self::default() };
        }
    }

    /// The lines that `bytes` complete, but for the step's report, which is for the core.
    fn lines(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let end = match self.rest.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => at + 1,
            None if self.rest.len() > LONGEST => self.rest.len(),
            None => return Vec::new(),
        };
        let complete: Vec<u8> = self.rest.drain(..end).collect();
        let lines = complete.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
        lines.filter(|line| !line.starts_with(MARK)).map(|line| plain(&line)).filter(|line| !line.is_empty()).collect()
    }
}

/// Ctrl-C, a terminal that hangs up, a polite kill: each of them ends the watching and nothing else.
pub struct Detach([Signal; 3]);

impl Detach {
    /// Begins to listen for them.
    pub fn new() -> io::Result<Self> {
        let [interrupt, hangup, terminate] =
            [SignalKind::interrupt(), SignalKind::hangup(), SignalKind::terminate()].map(signal);
        Ok(Self([interrupt?, hangup?, terminate?]))
    }

    /// Waits for one of them.
    pub async fn asked(&mut self) {
        let [interrupt, hangup, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_shown_by_whole_lines_and_without_the_report() {
        let mut said = Said::default();
        assert!(said.lines(b"one").is_empty());
        assert_eq!(said.lines(b" line\n\x1b[31mred\x1b[0m\nha"), ["one line", "red"]);
        assert_eq!(said.lines("lf\n\u{1e}{\"report\":{}}\n".as_bytes()), ["half"]);
        assert!(said.lines(b"\n").is_empty());
    }
}
