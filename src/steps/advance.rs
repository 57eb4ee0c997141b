//! How far a step is, where that has a size. It stands among the step's lines in a form that nobody but the core reads, and
//! only the newest counts. The journal does not get it.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use super::output::MARK;
use crate::model::size::size;

/// What comes behind the mark. A report begins otherwise.
pub const FAR: char = '~';
/// Not more often: whoever looks, looks once in a second.
const EVERY: Duration = Duration::from_millis(500);

/// Tells how far it is, now and then.
pub struct Advance {
    next: Instant,
}

impl Advance {
    /// What is soon over says nothing.
    #[must_use]
    pub fn begin() -> Self {
        Self { next: Instant::now() + EVERY }
    }

    /// Tells it, if it is time.
    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        if let Some(line) = self.line(Instant::now(), words) {
            // A full disk must not end a step for this.
            writeln!(io::stdout(), "{line}").ok();
        }
    }

    fn line(&mut self, now: Instant, words: impl FnOnce() -> String) -> Option<String> {
        if now < self.next {
            return None;
        }
        self.next = now + EVERY;
        Some(format!("{MARK}{FAR}{}", words()))
    }
}

/// Reads on, and tells how much of it was read.
pub struct Metered<R> {
    from: R,
    doing: &'static str,
    done: u64,
    all: String,
    advance: Advance,
}

impl<R> Metered<R> {
    /// `doing` is what is done with it, as in "restored 3 MB", and `all` what will have been read in the end.
    pub fn new(from: R, doing: &'static str, all: String) -> Self {
        Self { from, doing, done: 0, all, advance: Advance::begin() }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.done += count as u64;
        let (doing, done, all) = (self.doing, self.done, &self.all);
        self.advance.tell(|| format!("{doing} {} of {all}", size(done)));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_now_and_then_in_a_form_that_is_for_the_core() {
        let mut advance = Advance::begin();
        let begin = advance.next;
        let mut at = |ms| advance.line(begin + Duration::from_millis(ms), || format!("{ms} of 900"));
        let told = [0, 1, 499, 500, 501, 5_000].map(&mut at);
        let told: Vec<String> = told.into_iter().flatten().collect();
        assert_eq!(told, ["\u{1e}~0 of 900", "\u{1e}~500 of 900", "\u{1e}~5000 of 900"]);
    }

    #[test]
    fn what_is_read_is_read_whole_and_counted() {
        let mut from = Metered::new(&b"seven b"[..], "read", "7 B".into());
        let mut read = String::new();
        assert_eq!((from.read_to_string(&mut read).unwrap(), from.done, read.as_str()), (7, 7, "seven b"));
    }
}
