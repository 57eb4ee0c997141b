//! systemd over D-Bus: our own proxies, kept behind this file.
//!
//! A signal is only a wake-up: with automatic restarts a crash says `failed` and 0.1 ms later `auto-restart`, so what
//! counts is always read again. The answer to `StartUnit` is not success either: the job may still fail.

use std::collections::HashMap;
use std::num::NonZero;
use std::time::Duration;

use futures_util::StreamExt;
use zbus::{MessageStream, OwnedMatchRule, OwnedObjectPath, OwnedVariant};

use crate::deploy::world::UnitNow;
use crate::model::journal::Cause;
use crate::model::slot::Told;

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const TIMER: &str = "org.freedesktop.systemd1.Timer";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

#[zbus::proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    fn subscribe(&self) -> zbus::Result<()>;
    fn load_unit(&self, name: &str) -> zbus::Result<OwnedObjectPath>;
    fn start_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn stop_unit(&self, name: &str, mode: &str) -> zbus::Result<OwnedObjectPath>;
    fn reset_failed_unit(&self, name: &str) -> zbus::Result<()>;
    #[zbus(signal)]
    fn job_removed(&self, id: u32, job: OwnedObjectPath, unit: String, result: String) -> zbus::Result<()>;
}

/// What systemd says of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// The unit.
    pub name: String,
    /// `LoadState`: "loaded", "not-found", "masked", …
    pub load: String,
    /// `ActiveState`.
    pub active: String,
    /// `SubState`.
    pub sub: String,
    /// `InvocationID` in hexadecimal; empty while it has none.
    pub invocation: String,
    /// `Result` of the last run.
    pub result: String,
    /// `MainPID`.
    pub pid: u32,
    /// `NRestarts`.
    pub restarts: u32,
    /// `ExecMainStatus`.
    pub status: i32,
    /// `StatusText`: what the program says of itself.
    pub status_text: String,
    /// `StateChangeTimestamp` in microseconds since 1970.
    pub since: u64,
    /// `NeedDaemonReload`: its file was changed since systemd read it.
    pub stale: bool,
    /// `Job`: something was asked of it, and is not done yet.
    pub queued: bool,
}

impl State {
    /// Up, and not waiting for a restart.
    #[must_use]
    pub fn up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading")
    }

    /// As a person reads it.
    #[must_use]
    pub fn words(&self) -> String {
        match (self.load.as_str(), self.active.as_str()) {
            ("not-found", _) => "there is no such unit".to_owned(),
            ("masked", _) => "the unit is masked".to_owned(),
            ("loaded", "active" | "reloading") => format!("{} ({})", self.active, self.sub),
            ("loaded", _) if self.sub == "auto-restart" => format!("{}; systemd restarts it", self.ended()),
            ("loaded", _) if self.result == "success" && self.status == 0 => format!("{} ({})", self.active, self.sub),
            ("loaded", _) => format!("{} ({}): {}", self.active, self.sub, self.ended()),
            (load, _) => format!("the unit file cannot be used ({load})"),
        }
    }

    /// How its last run ended.
    #[must_use]
    pub fn ended(&self) -> String {
        match self.result.as_str() {
            "exit-code" => format!("exit status {}", self.status),
            "signal" | "core-dump" => format!("killed by signal {}", self.status),
            "timeout" => "it took too long".to_owned(),
            "oom-kill" => "out of memory".to_owned(),
            "resources" => "systemd could not set it up".to_owned(),
            "start-limit-hit" => "started too often".to_owned(),
            "success" => format!("it ended with status {}", self.status),
            other => other.to_owned(),
        }
    }
}

impl From<State> for UnitNow {
    fn from(state: State) -> Self {
        Self {
            known: state.load == "loaded",
            up: state.up(),
            words: state.words(),
            invocation: state.invocation,
            pid: state.pid,
            restarts: state.restarts,
            told: Told::read(&state.status_text),
        }
    }
}

/// The system's manager.
#[derive(Debug, Clone)]
pub struct Systemd {
    bus: zbus::Connection,
    manager: ManagerProxy<'static>,
}

impl Systemd {
    /// Over this connection to the system bus.
    ///
    /// # Errors
    /// If systemd does not answer.
    pub async fn new(bus: &zbus::Connection) -> zbus::Result<Self> {
        let manager = ManagerProxy::new(bus).await?;
        // Without it systemd sends no signals.
        manager.subscribe().await?;
        Ok(Self { bus: bus.clone(), manager })
    }

    /// What a unit is doing.
    ///
    /// # Errors
    /// If systemd does not answer.
    pub async fn state(&self, unit: &str) -> Result<State, Cause> {
        self.read(unit).await.map_err(|error| failed("be asked about", unit, &error))
    }

    async fn read(&self, unit: &str) -> zbus::Result<State> {
        let path = self.manager.load_unit(unit).await?;
        let all = self.properties(&path, UNIT).await?;
        let mut state = State {
            name: unit.to_owned(),
            stale: all.get("NeedDaemonReload").and_then(|value| bool::try_from(value).ok()).unwrap_or_default(),
            load: text(&all, "LoadState"),
            active: text(&all, "ActiveState"),
            sub: text(&all, "SubState"),
            invocation: hexadecimal(&all, "InvocationID"),
            since: number(&all, "StateChangeTimestamp"),
            queued: job(&all) != 0,
            ..State::default()
        };
        if unit.ends_with(".service") && state.load == "loaded" {
            let all = self.properties(&path, SERVICE).await?;
            state.result = text(&all, "Result");
            state.pid = number(&all, "MainPID");
            state.restarts = number(&all, "NRestarts");
            state.status_text = text(&all, "StatusText");
            state.status = number(&all, "ExecMainStatus");
        }
        Ok(state)
    }

    async fn properties(&self, path: &OwnedObjectPath, interface: &str) -> zbus::Result<HashMap<String, OwnedVariant>> {
        let reply = self
            .bus
            .call_method(Some(NAME), path, Some("org.freedesktop.DBus.Properties"), "GetAll", &(interface,))
            .await?;
        reply.body().deserialize()
    }

    /// Starts a unit without waiting; an earlier failure does not count against it.
    ///
    /// # Errors
    /// If systemd refuses.
    pub async fn begin(&self, unit: &str) -> Result<(), Cause> {
        self.manager.start_unit(unit, "fail").await.map_err(|error| failed("start", unit, &error))?;
        Ok(())
    }

    /// Starts a unit and waits for its job.
    ///
    /// # Errors
    /// If systemd refuses, the job fails, or it takes longer than `within`.
    pub async fn start(&self, unit: &str, within: Duration) -> Result<(), Cause> {
        // A unit that failed before may have used up its starts.
        let _ = self.manager.reset_failed_unit(unit).await;
        let result = self.job(unit, within, "start").await?;
        if result == "done" { Ok(()) } else { Err(Cause::new(format!("{unit} could not be started: {result}"))) }
    }

    /// Stops a unit and waits until it is down.
    ///
    /// # Errors
    /// If systemd refuses, or it takes longer than `within`.
    pub async fn stop(&self, unit: &str, within: Duration) -> Result<(), Cause> {
        let result = self.job(unit, within, "stop").await?;
        let state = self.state(unit).await?;
        if matches!(state.active.as_str(), "inactive" | "failed") {
            return Ok(());
        }
        Err(Cause::new(format!("{unit} does not stop ({result}): {}", state.words())))
    }

    /// Ends the run of a unit behind a socket: a request may start the next one at once.
    ///
    /// # Errors
    /// If systemd refuses, or it takes longer than `within`.
    pub async fn end_run(&self, unit: &str, within: Duration) -> Result<(), Cause> {
        let before = self.state(unit).await?.invocation;
        match self.stop(unit, within).await {
            Err(_) if self.state(unit).await?.invocation != before => Ok(()),
            ended => ended,
        }
    }

    /// When a timer fires next, in microseconds since 1970; `None` if it does not, or there is none.
    pub async fn next_elapse(&self, timer: &str) -> Option<u64> {
        let path = self.manager.load_unit(timer).await.ok()?;
        let all = self.properties(&path, TIMER).await.ok()?;
        // Never is the largest number there is.
        Some(number::<u64>(&all, "NextElapseUSecRealtime")).filter(|us| (1..1 << 62).contains(us))
    }

    /// Forgets how a unit's last run ended.
    pub async fn forget(&self, unit: &str) {
        // It fails for a unit that has nothing to forget, which is what is wanted.
        let _ = self.manager.reset_failed_unit(unit).await;
    }

    async fn job(&self, unit: &str, within: Duration, verb: &str) -> Result<String, Cause> {
        let work = async {
            // Subscribed first: the job may be gone before its name is known here.
            let mut removed = self.manager.receive_job_removed().await?;
            let job = match verb {
                "start" => self.manager.start_unit(unit, "replace").await?,
                _ => self.manager.stop_unit(unit, "replace").await?,
            };
            while let Some(signal) = removed.next().await {
                let args = signal.args()?;
                if args.job == job {
                    return Ok(args.result.clone());
                }
            }
            Err(zbus::Error::Failure("the bus closed".to_owned()))
        };
        match tokio::time::timeout(within, work).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(failed(verb, unit, &error)),
            Err(_) => Err(Cause::new(format!("{unit} took longer than {} s to {verb}", within.as_secs()))),
        }
    }

    /// Wakes at each change of any unit.
    ///
    /// # Errors
    /// If the bus refuses.
    pub async fn changes(&self) -> Result<MessageStream, Cause> {
        let rule = format!(
            "type='signal',sender='{NAME}',interface='org.freedesktop.DBus.Properties',\
             member='PropertiesChanged',path_namespace='{PATH}/unit'"
        );
        let stream = async {
            let rule = OwnedMatchRule::try_from(rule.as_str())?;
            MessageStream::for_match_rule(rule, &self.bus, NonZero::new(256)).await
        };
        stream.await.map_err(|error| failed("watch", "the units", &error))
    }
}

fn failed(what: &str, unit: &str, error: &zbus::Error) -> Cause {
    let cause = Cause::new(format!("systemd would not {what} {unit}: {}", super::chain(error)));
    match error {
        zbus::Error::MethodError(name, ..)
            if name.as_str().ends_with("InteractiveAuthorizationRequired")
                || name.as_str().ends_with("AccessDenied") =>
        {
            cause.hint("polkit does not allow it: `sudo tsh-agent check` says why, `sudo tsh-agent init` writes the rules anew")
        }
        _ => cause,
    }
}

fn text(all: &HashMap<String, OwnedVariant>, key: &str) -> String {
    all.get(key).and_then(|value| value.downcast_ref::<&str>().ok()).unwrap_or_default().to_owned()
}

fn number<T>(all: &HashMap<String, OwnedVariant>, key: &str) -> T
where
    T: TryFrom<i64> + Default,
{
    let value = all.get(key);
    let number = value
        .and_then(|value| value.downcast_ref::<u64>().ok())
        .map(|number| i64::try_from(number).unwrap_or(i64::MAX))
        .or_else(|| value.and_then(|value| value.downcast_ref::<u32>().ok()).map(i64::from))
        .or_else(|| value.and_then(|value| value.downcast_ref::<i32>().ok()).map(i64::from));
    number.and_then(|number| T::try_from(number).ok()).unwrap_or_default()
}

/// The number of the job that waits or runs; 0 if there is none.
fn job(all: &HashMap<String, OwnedVariant>) -> u32 {
    let job = all.get("Job").and_then(|value| <(u32, OwnedObjectPath)>::try_from(value.clone()).ok());
    job.map_or(0, |(id, _)| id)
}

fn hexadecimal(all: &HashMap<String, OwnedVariant>, key: &str) -> String {
    let bytes = all.get(key).and_then(|value| Vec::<u8>::try_from(value.clone()).ok()).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
