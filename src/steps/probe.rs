//! Probes a release: are the processes its own, do they answer, and as what they should? Either until it is healthy,
//! or, in the bake, that it stays so.

mod http;
mod process;

pub use http::look;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::child::Command;
use super::output::say;
use super::{Job, Outcome, not_mine};
use crate::config::{Probe, ProbePlan};
use crate::model::journal::{Cause, Output};
use crate::model::names::{ReleaseId, SchemaRevision, Sha};
use crate::model::request::{Watched, Work};
use crate::model::slot::Slot;
use crate::paths;

/// Where programs are, after the release's own.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Probes until the release is healthy, or for as long as it must stay so.
pub async fn run(job: &Job) -> Outcome {
    let Work::Probe { units, revision, schema, bake, slot } = &job.request.work else { return Err(not_mine()) };
    let intended = http::Intended { revision: revision.as_ref(), schema };
    let mut prober = Prober::new(job, job.request.release, units, intended)?;
    prober.private = private(job, *slot)?;
    let how = match bake {
        None => prober.until_healthy().await?,
        Some(time) => prober.stays_healthy(Duration::from_millis(*time)).await?,
    };
    say(&how);
    Ok(Output::Probed { how })
}

/// Probes a release that no unit runs until it is healthy; a sentence about it.
///
/// # Errors
/// If it is not in time, with every fault of the last round.
pub async fn until_healthy(
    job: &Job,
    release: ReleaseId,
    revision: Option<&Sha>,
    schema: &[SchemaRevision],
) -> Result<String, Cause> {
    Prober::new(job, release, &[], http::Intended { revision, schema })?.until_healthy().await
}

/// A client for one address, with a new connection for each request.
pub fn lonely_client() -> Result<reqwest::Client, Cause> {
    http::client(None)
}

/// One look at one probe, without a deployment: what was asked, and what is wrong with the answer. `None` for a command,
/// which only the application's user may run.
pub async fn once(probe: &Probe, revision: Option<&Sha>) -> Option<(String, Result<(), String>)> {
    let (what, looked) = match probe {
        Probe::Http(asked) => {
            let intended = http::Intended { revision, schema: &[] };
            let looked = match http::client(None) {
                Ok(client) => http::check(&client, asked, &intended).await.map_err(|fault| fault.what),
                Err(cause) => Err(cause.what),
            };
            (format!("GET {}", asked.url), looked)
        }
        Probe::Tcp { address, timeout } => {
            (format!("TCP {address}"), tcp(address, *timeout).await.map_err(|fault| fault.what))
        }
        Probe::Command { .. } => return None,
    };
    Some((what, looked))
}

/// Whether a unit's main process runs from `release`, one of `releases`; `None` where this user may not look into it, or
/// it has ended meanwhile.
#[must_use]
pub fn runs_from(unit: &Watched, release: &std::path::Path, releases: &std::path::Path) -> Option<bool> {
    std::fs::read_link(format!("/proc/{}/cwd", unit.pid)).ok()?;
    match process::check(unit, release, releases) {
        Ok(()) => Some(true),
        Err(fault) if fault.forever => None,
        Err(_) => Some(false),
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    /// What, as a sentence without its end.
    what: String,
    /// Whether it will never be better.
    forever: bool,
    /// Whether one more look a moment later is fair: nothing on a network is certain.
    excusable: bool,
    /// Lines that show it.
    tail: Vec<String>,
}

impl Fault {
    fn new(what: String) -> Self {
        Self { what, forever: false, excusable: false, tail: Vec::new() }
    }
}

/// The way into a slot that does not accept on the socket: what is meant for the socket's address goes there.
struct Private {
    client: reqwest::Client,
    listen: std::net::SocketAddr,
}

impl Private {
    fn is_for(&self, url: &str) -> bool {
        let Ok(url) = reqwest::Url::parse(url) else { return false };
        let host = url.host_str().map(|host| host.trim_matches(['[', ']']));
        let here = host == Some("localhost") || host == Some(&self.listen.ip().to_string());
        here && url.port_or_known_default() == Some(self.listen.port())
    }
}

fn private(job: &Job, slot: Option<Slot>) -> Result<Option<Private>, Cause> {
    let Some((slot, serve)) = slot.zip(job.settings.service.socket()) else { return Ok(None) };
    let way_in = job.at(&paths::way_in(&job.settings.app, slot));
    let client = http::client(Some(&way_in))?;
    Ok(serve.listen.map(|listen| Private { client, listen }))
}

struct Prober<'a> {
    plan: &'a ProbePlan,
    client: reqwest::Client,
    private: Option<Private>,
    units: &'a [Watched],
    intended: http::Intended<'a>,
    releases: PathBuf,
    release: PathBuf,
    workdir: PathBuf,
    venv: PathBuf,
}

impl<'a> Prober<'a> {
    fn new(
        job: &'a Job,
        release: ReleaseId,
        units: &'a [Watched],
        intended: http::Intended<'a>,
    ) -> Result<Self, Cause> {
        let settings = &job.settings;
        let release = job.at(&paths::release(&settings.app, release));
        Ok(Self {
            plan: &settings.probe,
            client: http::client(None)?,
            private: None,
            units,
            intended,
            workdir: release.join(&settings.build.workdir),
            venv: release.join(&settings.build.venv),
            releases: job.at(&paths::releases(&settings.app)),
            release,
        })
    }

    async fn until_healthy(&self) -> Result<String, Cause> {
        let began = Instant::now();
        let deadline = began + self.plan.deadline;
        let wanted = self.plan.successes.max(1);
        let mut passed = 0;
        let mut last: Vec<Fault> = Vec::new();
        loop {
            match tokio::time::timeout_at(deadline, self.round()).await {
                Ok(faults) if faults.is_empty() => {
                    passed += 1;
                    if passed == wanted {
                        let time = began.elapsed().as_secs_f32();
                        return Ok(format!("{} {wanted} times, after {time:.1} s", self.scope()));
                    }
                }
                Ok(faults) => {
                    passed = 0;
                    // The same reason every second would hide all others.
                    if faults != last {
                        faults.iter().for_each(|fault| say(&format!("not yet: {}", fault.what)));
                    }
                    last = faults;
                    if last.iter().any(|fault| fault.forever) {
                        return Err(cause("the release is not healthy", &last));
                    }
                }
                // The round in which time ran out says nothing that the one before did not say.
                Err(_) => {}
            }
            if Instant::now() + self.plan.interval >= deadline {
                let time = self.plan.deadline.as_secs_f32();
                if last.is_empty() {
                    last.push(Fault::new(format!("only {passed} of {wanted} rounds passed, and the last had no end")));
                }
                return Err(cause(&format!("the release is not healthy after {time} s"), &last));
            }
            tokio::time::sleep(self.plan.interval).await;
        }
    }

    async fn stays_healthy(&self, time: Duration) -> Result<String, Cause> {
        let began = Instant::now();
        let mut rounds = 0_u32;
        loop {
            let last_round = began.elapsed() >= time;
            let mut faults = self.round().await;
            if !faults.is_empty() && faults.iter().all(|fault| fault.excusable) {
                faults.iter().for_each(|fault| say(&format!("looking once more: {}", fault.what)));
                faults = self.round().await;
            }
            if !faults.is_empty() {
                let seconds = began.elapsed().as_secs_f32();
                return Err(cause(&format!("the release did not stay healthy, after {seconds:.1} s"), &faults));
            }
            rounds += 1;
            if last_round {
                return Ok(format!("{}, {rounds} rounds over {} s", self.scope(), time.as_secs_f32()));
            }
            tokio::time::sleep(self.plan.interval.min(time.saturating_sub(began.elapsed()))).await;
        }
    }

    /// What is looked at, in words.
    fn scope(&self) -> String {
        let processes = self.units.iter().filter(|unit| unit.pid > 0).count();
        let probes = self.plan.probes.len();
        let (s, es) = (if probes == 1 { "" } else { "s" }, if processes == 1 { "" } else { "es" });
        format!("{probes} probe{s} and {processes} process{es} healthy")
    }

    /// One look at everything.
    async fn round(&self) -> Vec<Fault> {
        let processes = self.units.iter().filter(|unit| unit.pid > 0);
        let mut faults: Vec<Fault> =
            processes.filter_map(|unit| process::check(unit, &self.release, &self.releases).err()).collect();
        let probes = join_all(self.plan.probes.iter().map(|probe| self.probe(probe))).await;
        faults.extend(probes.into_iter().filter_map(Result::err));
        faults
    }

    async fn probe(&self, probe: &Probe) -> Result<(), Fault> {
        match probe {
            Probe::Http(probe) => {
                let private = self.private.as_ref().filter(|private| private.is_for(&probe.url));
                let client = private.map_or(&self.client, |private| &private.client);
                http::check(client, probe, &self.intended).await
            }
            Probe::Tcp { address, timeout } => tcp(address, *timeout).await,
            Probe::Command { argv, timeout } => self.command(argv, *timeout).await,
        }
    }

    async fn command(&self, argv: &[String], timeout: Duration) -> Result<(), Fault> {
        let path = format!("{}/bin:{PATH}", self.venv.display());
        let command = Command::new(argv).clean().env([("PATH", path.as_str()), ("LANG", "C.UTF-8")]);
        match command.dir(&self.workdir).timeout(timeout).quiet().run().await {
            Ok(_) => Ok(()),
            Err(cause) => Err(Fault { tail: cause.tail, ..Fault::new(cause.what) }),
        }
    }
}

async fn tcp(address: &str, timeout: Duration) -> Result<(), Fault> {
    let fault = |why: String| Fault { excusable: true, ..Fault::new(format!("TCP {address}: {why}")) };
    match tokio::time::timeout(timeout, tokio::net::TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(fault(error.to_string())),
        Err(_) => Err(fault(format!("no connection within {} s", timeout.as_secs_f32()))),
    }
}

/// The cause that names every fault of the last round.
fn cause(what: &str, faults: &[Fault]) -> Cause {
    let all: Vec<&str> = faults.iter().map(|fault| fault.what.as_str()).collect();
    let tail = faults.iter().flat_map(|fault| fault.tail.clone()).collect();
    Cause { tail, ..Cause::new(format!("{what}: {}", all.join("; "))) }
}

#[cfg(test)]
mod tests;
