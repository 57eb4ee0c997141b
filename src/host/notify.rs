//! What the service manager is told about the core itself.

use std::time::Duration;

use sd_notify::NotifyState;

/// The core answers.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// What it is doing, for `systemctl status`.
pub fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// Still alive.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often the watchdog wants to hear; `None` if there is none.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(state: &[NotifyState<'_>]) {
    // Nobody listens when the core is run by hand.
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("the service manager was not told: {error}");
    }
}
