//! Windows: the hours of the week at which something may be deployed, in a time zone.
//!
//! A window is said in the time of the wall clock, and means what the clock on the wall shows: where an hour is left
//! out in spring, what begins in it begins after it; where an hour comes twice in autumn, it belongs to the window both
//! times.

use core::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::Said;
use super::facts::{Facts, moment};

/// `[gates.windows]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    /// The zone in which the clock is read.
    pub zone: TimeZone,
    /// The windows.
    pub open: Vec<Window>,
    /// How long a deployment waits for the next one.
    pub wait: Duration,
}

/// One window of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    days: Vec<Weekday>,
    from: Time,
    /// `None` is the end of the day; before `from`, it is on the next day.
    to: Option<Time>,
}

/// Why a text is not a window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a window is days and hours, such as \"Mon..Fri 09:00-17:00\" or \"Sat,Sun 22:00-02:00\"")]
pub struct BadWindow;

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

impl std::str::FromStr for Window {
    type Err = BadWindow;
    fn from_str(text: &str) -> Result<Self, BadWindow> {
        let (days, hours) = text.split_once(' ').ok_or(BadWindow)?;
        let (from, to) = hours.trim().split_once('-').ok_or(BadWindow)?;
        let mut all = Vec::new();
        for part in days.split(',') {
            let (first, last) = part.split_once("..").unwrap_or((part, part));
            let place = |word: &str| DAYS.iter().position(|(name, _)| *name == word).ok_or(BadWindow);
            let (first, last) = (place(first)?, place(last)?);
            // "Sat..Mon" goes around the end of the week.
            let count = (last + 7 - first) % 7;
            all.extend((0..=count).map(|ahead| DAYS[(first + ahead) % 7].1));
        }
        let (from, to) = (time(from)?, if to == "24:00" { None } else { Some(time(to)?) });
        if to == Some(from) {
            return Err(BadWindow);
        }
        Ok(Self { days: all, from, to })
    }
}

fn time(text: &str) -> Result<Time, BadWindow> {
    let (hour, minute) = text.split_once(':').ok_or(BadWindow)?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i8>().ok().filter(|_| digits).ok_or(BadWindow)
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).map_err(|_| BadWindow)
}

impl Window {
    /// When it opens and closes, if it begins on this day.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        if !self.days.contains(&day.weekday()) {
            return None;
        }
        let tomorrow = day.checked_add(1.day()).ok()?;
        let end = match self.to {
            None => tomorrow.at(0, 0, 0, 0),
            Some(to) if to <= self.from => tomorrow.to_datetime(to),
            Some(to) => day.to_datetime(to),
        };
        let instant = |at: jiff::civil::DateTime| at.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
        let (start, end) = (instant(day.to_datetime(self.from))?, instant(end)?);
        // All of it may lie in the hour that is left out.
        (start < end).then_some((start, end))
    }
}

impl Windows {
    /// Until when it is open (`Ok`), or when it opens next (`Err`), in milliseconds since 1970 (UTC). `Err(None)`: it
    /// does not open within two weeks.
    ///
    /// # Errors
    /// If it is not open now.
    pub fn at(&self, now: i64) -> Result<i64, Option<i64>> {
        let Ok(instant) = Timestamp::from_millisecond(now) else { return Err(None) };
        let today = instant.to_zoned(self.zone.clone()).date();
        let mut open: Option<Timestamp> = None;
        let mut next: Option<Timestamp> = None;
        // From yesterday on, for one may go on past midnight.
        let days = (-1..=14_i64).filter_map(|ahead| today.checked_add(ahead.days()).ok());
        for (start, end) in days.flat_map(|day| self.open.iter().filter_map(move |window| window.on(day, &self.zone))) {
            if start <= instant && instant < end {
                open = open.max(Some(end));
            } else if instant < start {
                next = Some(next.map_or(start, |next| next.min(start)));
            }
        }
        match open {
            Some(end) => Ok(end.as_millisecond()),
            None => Err(next.map(Timestamp::as_millisecond)),
        }
    }
}

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    let Some(windows) = &facts.rules.windows else { return Said::off() };
    match windows.at(facts.now) {
        Ok(end) => Said::pass(format!("open until {}", moment(end, facts.rules))),
        Err(Some(next)) => Said::wait(Some(next), format!("closed until {}", moment(next, facts.rules)))
            .lift("time; or a person with `--override windows`"),
        Err(None) => {
            Said::refuse("no window opens within two weeks").lift("root: `gates.windows.open` in the settings")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<jiff::Zoned>().unwrap().timestamp().as_millisecond()
    }

    fn berlin(open: &[&str]) -> Windows {
        let open = open.iter().map(|text| text.parse().unwrap()).collect();
        Windows { zone: TimeZone::get("Europe/Berlin").unwrap(), open, wait: Duration::from_hours(1) }
    }

    #[test]
    fn a_window_means_the_clock_on_the_wall_over_a_change_of_it() {
        // On 2026-03-29 the clock in Berlin goes from 02:00 to 03:00, on 2026-10-25 from 03:00 back to 02:00.
        let day = ["Mon..Sun 09:00-17:00"];
        let cases: [(&[&str], &str, Result<&str, &str>); 14] = [
            (&day, "2026-03-27T09:00[Europe/Berlin]", Ok("2026-03-27T17:00+01:00[Europe/Berlin]")),
            (&day, "2026-03-28T17:00[Europe/Berlin]", Err("2026-03-29T09:00+02:00[Europe/Berlin]")),
            (&day, "2026-03-29T07:00:00+00:00[UTC]", Ok("2026-03-29T17:00+02:00[Europe/Berlin]")),
            (&day, "2026-03-29T06:59:59+00:00[UTC]", Err("2026-03-29T09:00+02:00[Europe/Berlin]")),
            (&day, "2026-10-25T07:59:59+00:00[UTC]", Err("2026-10-25T09:00+01:00[Europe/Berlin]")),
            (&day, "2026-10-25T08:00:00+00:00[UTC]", Ok("2026-10-25T17:00+01:00[Europe/Berlin]")),
            // It begins in the hour that is left out, and all of it does.
            (
                &["Sun 02:30-04:00"],
                "2026-03-29T01:59+01:00[Europe/Berlin]",
                Err("2026-03-29T03:30+02:00[Europe/Berlin]"),
            ),
            (
                &["Sun 02:00-03:00"],
                "2026-03-29T01:59+01:00[Europe/Berlin]",
                Err("2026-04-05T02:00+02:00[Europe/Berlin]"),
            ),
            // The hour that comes twice belongs to it twice.
            (
                &["Sun 02:00-03:00"],
                "2026-10-25T02:59+02:00[Europe/Berlin]",
                Ok("2026-10-25T03:00+01:00[Europe/Berlin]"),
            ),
            (
                &["Sun 02:00-03:00"],
                "2026-10-25T02:59+01:00[Europe/Berlin]",
                Ok("2026-10-25T03:00+01:00[Europe/Berlin]"),
            ),
            // Over midnight, to the end of the day, around the end of the week.
            (&["Fri 22:00-02:00"], "2026-11-21T01:59[Europe/Berlin]", Ok("2026-11-21T02:00+01:00[Europe/Berlin]")),
            (&["Fri 22:00-02:00"], "2026-11-21T02:00[Europe/Berlin]", Err("2026-11-27T22:00+01:00[Europe/Berlin]")),
            (&["Sat 22:00-24:00"], "2026-11-21T23:59[Europe/Berlin]", Ok("2026-11-22T00:00+01:00[Europe/Berlin]")),
            (
                &["Sun..Mon 08:00-09:00"],
                "2026-11-22T09:00[Europe/Berlin]",
                Err("2026-11-23T08:00+01:00[Europe/Berlin]"),
            ),
        ];
        for (open, now, expected) in cases {
            let expected = expected.map(ms).map_err(|next| Some(ms(next)));
            assert_eq!(berlin(open).at(ms(now)), expected, "{open:?} at {now}");
        }
        assert_eq!(berlin(&[]).at(0), Err(None));
    }

    #[test]
    fn windows_that_overlap_are_one() {
        let both = berlin(&["Mon 09:00-12:00", "Mon..Tue 11:00-15:00"]);
        assert_eq!(both.at(ms("2026-11-23T11:30[Europe/Berlin]")), Ok(ms("2026-11-23T15:00[Europe/Berlin]")));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for bad in [
            "",
            "Mon",
            "Mon 9:00-10:00",
            "Mon 09:00",
            "Monday 09:00-10:00",
            "Mon 09:00-25:00",
            "Mon 09:00-09:00",
            "Mon..Xyz 09:00-10:00",
            "Mon 24:00-10:00",
            "Mon 09:60-10:00",
            "Mon  -1:00-10:00",
            "Mon,, 09:00-10:00",
        ] {
            assert_eq!(bad.parse::<Window>(), Err(BadWindow), "{bad:?}");
        }
    }
}
