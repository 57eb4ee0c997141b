//! Many users who ask all the time, and count what was not answered.

use std::collections::BTreeMap;
use std::process::Child;

use serde::Deserialize;

use super::machine::{Machine, Said};

/// The application itself, and nginx in front of it.
pub const DIRECT: &str = "127.0.0.1:8000";
pub const NGINX: &str = "127.0.0.1:80";

/// Users at work.
pub struct Load(Option<Child>);

/// What they met.
#[derive(Debug, Deserialize)]
pub struct Met {
    pub requests: u64,
    pub failed: u64,
    pub slowest_ms: u64,
    pub errors: BTreeMap<String, u64>,
    pub answers: BTreeMap<String, u64>,
}

impl Load {
    /// Begins with these options of `tests/lab/load`.
    pub fn start(machine: &Machine, options: &[&str]) -> Self {
        let argv: Vec<&str> = ["/opt/tests-lab/load"].iter().chain(options).copied().collect();
        Self(Some(machine.spawn(&argv)))
    }

    /// Ends it.
    #[track_caller]
    pub fn stop(mut self) -> Met {
        let child = self.0.take().unwrap();
        // scripts/lab hands the signal on.
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        )
        .ok();
        let said = Said::of(&child.wait_with_output().unwrap());
        serde_json::from_str(said.out.trim()).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
