//! What the launchers in the slots say, waited for.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::systemd::{State, Systemd};
use crate::model::journal::Cause;
use crate::model::names::UnitName;
use crate::model::slot::Told;

/// A launcher that runs hears of its turn at once; one that does not answer for this long is not well.
const TURN: Duration = Duration::from_secs(10);
/// Nobody waits longer than this for a signal that may have been missed.
const BELT: Duration = Duration::from_secs(1);

/// Waits until the unit accepts requests.
///
/// # Errors
/// If it is down, or does not say so in time.
pub async fn accepting(systemd: &Systemd, name: &UnitName) -> Result<(), Cause> {
    let done = |state: &State, told: Option<Told>| told.is_some_and(|told| told.accepting) || !state.up();
    let state = wait(systemd, name, TURN, done).await?;
    if state.up() && Told::read(&state.status_text).is_some_and(|told| told.accepting) {
        return Ok(());
    }
    let mut cause = Cause::new(format!("{name} does not accept requests: {}", state.words()));
    cause.unit = Some((name.to_string(), state.invocation));
    Err(cause)
}

/// Waits until the unit has finished what it had accepted; tells what is open after this time.
///
/// # Errors
/// If systemd does not answer.
pub async fn drained(systemd: &Systemd, name: &UnitName, within: Duration) -> Result<u64, Cause> {
    let done = |state: &State, told: Option<Told>| !state.up() || told.is_none_or(|told| told.open == 0);
    let state = wait(systemd, name, within, done).await?;
    let open = Told::read(&state.status_text).map(|told| told.open);
    Ok(open.filter(|_| state.up()).unwrap_or_default())
}

async fn wait(
    systemd: &Systemd,
    name: &UnitName,
    within: Duration,
    done: impl Fn(&State, Option<Told>) -> bool,
) -> Result<State, Cause> {
    let end = Instant::now() + within;
    let mut changes = systemd.changes().await?;
    loop {
        let state = systemd.state(name.as_str()).await?;
        if done(&state, Told::read(&state.status_text)) || Instant::now() >= end {
            return Ok(state);
        }
        tokio::select! {
            _ = changes.next() => {}
            () = tokio::time::sleep_until(end.min(Instant::now() + BELT)) => {}
        }
    }
}
