//! Backups elsewhere: what is known here of those that are.

use serde::{Deserialize, Serialize};

use super::names::BackupName;

/// What came of carrying a backup away. The step that does it writes this, where the backups' owner cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The backup.
    pub backup: BackupName,
    /// SHA-256 of its manifest, in hexadecimal: of another one this says nothing.
    pub manifest: String,
    /// Where it is, as in `s3://bucket/prefix`.
    pub place: String,
    /// Bytes that had to be carried; what was there already was not.
    pub bytes: u64,
    /// When all of it was there (UTC, RFC 3339).
    pub at: String,
    /// How long it took, in milliseconds.
    pub took: u64,
}

/// What a person should know about backups off-site: `times` are when each whole backup was taken, newest first and in
/// milliseconds since 1970, and whether it is off-site.
#[must_use]
pub fn overdue(times: &[(i64, bool)], now: i64) -> Option<String> {
    /// A day, and the time that a backup and its way take.
    const LATE: i64 = 36 * 3_600_000;
    let newest = times.iter().find(|(_, away)| *away);
    let waits = times.iter().take_while(|(_, away)| !*away).map(|(at, _)| now - at).max().unwrap_or(0);
    let hours = waits / 3_600_000;
    match newest {
        _ if times.is_empty() || waits <= LATE => None,
        None => Some(format!("no backup is off-site; the oldest has been waiting for {hours} hours")),
        Some(_) => Some(format!("a backup has been waiting for {hours} hours to be carried off-site")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_too_long_is_told() {
        const HOUR: i64 = 3_600_000;
        let told = |times: &[(i64, bool)]| {
            let times: Vec<_> = times.iter().map(|(age, away)| (-age * HOUR, *away)).collect();
            overdue(&times, 0).unwrap_or_default()
        };
        assert_eq!(told(&[]), "");
        assert_eq!(told(&[(1, false)]), "", "it may be on its way");
        assert_eq!(told(&[(1, false), (25, true)]), "");
        assert_eq!(told(&[(1, true), (60, false)]), "", "an old one that was made before there was a store");
        assert_eq!(
            told(&[(1, false), (40, false), (60, true)]),
            "a backup has been waiting for 40 hours to be carried off-site"
        );
        assert_eq!(told(&[(1, false), (40, false)]), "no backup is off-site; the oldest has been waiting for 40 hours");
    }
}
