//! Somebody who uses the application all the time, and keeps the list of what was acknowledged.

use std::process::Child;

use serde::Deserialize;

use super::machine::{Machine, Said};
use super::wait::{seconds, until};

/// Inside; it survives a crash of the machine.
pub const FILE: &str = "/var/lib/acknowledged";

/// A running writer.
pub struct Writer(Option<Child>);

/// What it says when it ends.
#[derive(Debug, Deserialize)]
pub struct Summary {
    pub failed_requests: u64,
    pub longest_gap_ms: u64,
}

/// What came out of the comparison with the database.
#[derive(Debug, Deserialize)]
struct Verified {
    acked: u64,
    missing: Vec<String>,
    duplicated: Vec<String>,
}

impl Writer {
    /// Starts writing, and waits until something was acknowledged.
    pub fn start(machine: &Machine) -> Self {
        let begin = acknowledged(machine);
        let argv = ["/opt/tests-lab/writer", "--rate", "20", "--threads", "2", FILE];
        let writer = Self(Some(machine.spawn(&argv)));
        progress(machine, begin);
        writer
    }

    /// Ends it.
    pub fn stop(mut self) -> Option<Summary> {
        let mut child = self.0.take()?;
        child.kill().ok();
        let said = Said::of(&child.wait_with_output().ok()?);
        serde_json::from_str(&said.out).ok()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// Waits until more than `before` orders were acknowledged.
pub fn progress(machine: &Machine, before: u64) {
    until("the application acknowledges orders", seconds(20), || (acknowledged(machine) > before).then_some(()));
}

/// How many there are.
pub fn acknowledged(machine: &Machine) -> u64 {
    machine.ok(&format!("cat {FILE} 2>/dev/null | wc -l")).parse().unwrap()
}

/// Each acknowledged order must be there exactly once.
pub fn verify(machine: &Machine) -> u64 {
    let said = machine.sh(&format!("/opt/tests-lab/writer --verify {FILE}"));
    let verified: Verified = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert!(verified.missing.is_empty() && verified.duplicated.is_empty(), "orders were lost or doubled: {verified:?}");
    assert!(verified.acked > 0);
    verified.acked
}
