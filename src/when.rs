//! Times and durations as people read them. Stored times are milliseconds since 1970 (UTC).

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A moment, for example `2026-11-21 14:02:41`.
#[must_use]
pub fn moment(ms: i64, zone: &TimeZone) -> String {
    format(ms, zone, "%Y-%m-%d %H:%M:%S")
}

/// A moment to the minute, for example `2026-11-21 14:02`.
#[must_use]
pub fn minute(ms: i64, zone: &TimeZone) -> String {
    format(ms, zone, "%Y-%m-%d %H:%M")
}

fn format(ms: i64, zone: &TimeZone, how: &str) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(at) => at.to_zoned(zone.clone()).strftime(how).to_string(),
        // No clock says this; better an odd word than no screen.
        Err(_) => "at an unknown time".to_owned(),
    }
}

/// A duration: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h`.
#[must_use]
pub fn lasted(ms: i64) -> String {
    let ms = ms.max(0);
    // Below ten seconds a tenth tells something; 9.96 is "10 s", never "10.0 s".
    if ms < 9_950 {
        let tenths = (ms + 50) / 100;
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let s = (ms + 500) / 1000;
    match s {
        ..60 => format!("{s} s"),
        60..3_600 => format!("{} min {:02} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {:02} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {:02} h", s / 86_400, s % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well_at_every_size() {
        let said: Vec<_> =
            [0, 49, 350, 9_949, 9_950, 12_000, 59_499, 59_500, 185_000, 3_599_499, 7_620_000, 273_600_000, -5]
                .map(lasted)
                .into();
        assert_eq!(
            said,
            [
                "0.0 s",
                "0.0 s",
                "0.4 s",
                "9.9 s",
                "10 s",
                "12 s",
                "59 s",
                "1 min 00 s",
                "3 min 05 s",
                "59 min 59 s",
                "2 h 07 min",
                "3 d 04 h",
                "0.0 s"
            ]
        );
    }

    #[test]
    fn moments_are_local() {
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(moment(1_795_266_000_000, &berlin), "2026-11-21 14:00:00");
        assert_eq!(minute(1_795_266_000_000, &TimeZone::UTC), "2026-11-21 13:00");
    }
}
