//! Waiting for conditions, never for time.

use std::time::{Duration, Instant};

/// What `probe` finds, as soon as it finds it.
///
/// # Panics
/// If it finds nothing in time.
pub fn until<T>(what: &str, within: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {} s", within.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
