//! Lines in the journal that strangers can cause, so many in a minute and no more.

use std::time::{Duration, Instant};

/// Lines in each minute.
const MOST: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// Counts lines.
#[derive(Debug, Default)]
pub struct Limited {
    began: Option<Instant>,
    said: u32,
    kept_back: u32,
}

/// What to do with one more.
#[derive(Debug, PartialEq, Eq)]
pub enum Say {
    /// Write it; so many were kept back in the minute before.
    Line(u32),
    /// Keep it back.
    Nothing,
}

impl Limited {
    /// One more, at this moment.
    pub fn one_more(&mut self, now: Instant) -> Say {
        let mut before = 0;
        if self.began.is_none_or(|began| now.duration_since(began) >= MINUTE) {
            before = self.kept_back;
            *self = Self { began: Some(now), said: 0, kept_back: 0 };
        }
        if self.said < MOST {
            self.said += 1;
            return Say::Line(before);
        }
        self.kept_back += 1;
        Say::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_number() {
        let begin = Instant::now();
        let mut limited = Limited::default();
        let lines = (0..1000).filter(|_| limited.one_more(begin) == Say::Line(0)).count();
        assert_eq!(lines, 20);
        assert_eq!(limited.one_more(begin + MINUTE), Say::Line(980));
        assert_eq!(limited.one_more(begin + MINUTE), Say::Line(0));
    }
}
