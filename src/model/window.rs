//! How long production stands still: predicted from a rehearsal and from earlier deployments, and measured afterwards.

use super::fold::Progress;
use super::journal::{Fact, Journal};
use super::rehearsal::{Rehearsal, Window};
use super::step::Step;

/// Milliseconds for each GB that is copied, where nothing was measured yet.
const COPY: u64 = 2000;
/// Milliseconds to stop, start and probe, where nothing was measured yet.
const REST: u64 = 15_000;
/// Milliseconds that a copy takes however small the database is: two checkpoints.
const LEAST_COPY: u64 = 300;

/// How long the door was closed: from the intent to close it until it was open again; nobody can be served meanwhile.
#[must_use]
pub fn real(journal: &Journal) -> Option<u64> {
    between(journal, Step::Close, Step::Open).or_else(|| between(journal, Step::Close, Step::Reopen))
}

/// What a deployment took beside the copy of the database and the migrations; of one that did it all at once.
#[must_use]
pub fn rest(journal: &Journal) -> Option<u64> {
    let whole = real(journal).or_else(|| between(journal, Step::Stop, Step::Probe))?;
    let parts: u64 = [Step::Twin, Step::Migrate].into_iter().filter_map(|step| between(journal, step, step)).sum();
    Some(whole.saturating_sub(parts))
}

/// What is expected of the next one. `earlier` are journals of the same application, the newest first.
#[must_use]
pub fn predict(rehearsal: &Rehearsal, earlier: &[Journal]) -> Window {
    let measured = |journal: &Journal| {
        let bytes = journal.rehearsed()?.database_bytes;
        Some((between(journal, Step::Twin, Step::Twin)?, bytes))
    };
    let twin = match earlier.iter().find_map(measured) {
        // As much longer as there is more of it.
        Some((ms, bytes)) => scaled(ms, rehearsal.database_bytes, bytes),
        None => LEAST_COPY + scaled(COPY, rehearsal.database_bytes, 1 << 30),
    };
    let migrate = rehearsal.migration.took;
    let rest = earlier.iter().find_map(rest).unwrap_or(REST);
    Window { predicted: twin + migrate + rest, twin, migrate, rest }
}

fn scaled(ms: u64, bytes: u64, of: u64) -> u64 {
    u64::try_from(u128::from(ms) * u128::from(bytes) / u128::from(of.max(1))).unwrap_or(u64::MAX)
}

/// From the last intent of a step to the last success of another one, in one piece.
fn between(journal: &Journal, from: Step, to: Step) -> Option<u64> {
    if !matches!(journal.progress(to), Progress::Done(_)) {
        return None;
    }
    let begun = journal.0.iter().rfind(|entry| entry.fact.intends(from))?.at;
    let done = journal.0.iter().rfind(|entry| matches!(&entry.fact, Fact::Done { step, .. } if *step == to))?.at;
    u64::try_from(done - begun).ok()
}

#[cfg(test)]
mod tests {
    use super::super::journal::{Before, Entry, Output};
    use super::super::rehearsal::testing::good;
    use super::*;

    /// Steps that took so many seconds, one after the other.
    fn journal(steps: &[(Step, i64)]) -> Journal {
        let mut at = 0;
        let mut journal = Journal::default();
        let mut add = |at, fact| journal.0.push(Entry { at, boot: String::new(), fact });
        for (step, seconds) in steps {
            add(at, Fact::Intent { step: *step, before: Before::Nothing });
            at += seconds * 1000;
            let out = match step {
                Step::Rehearse => Output::Rehearsed(Box::new(good("b"))),
                _ => Output::Nothing,
            };
            add(at, Fact::Done { step: *step, out });
        }
        journal
    }

    fn fenced() -> Journal {
        use Step::*;
        journal(&[
            (Rehearse, 9),
            (Close, 0),
            (Stop, 2),
            (Twin, 4),
            (Migrate, 5),
            (Start, 1),
            (Probe, 2),
            (Open, 0),
            (Bake, 9),
        ])
    }

    #[test]
    fn the_window_is_as_long_as_the_door_was_closed() {
        assert_eq!((real(&fenced()), rest(&fenced())), (Some(14_000), Some(5000)));
        let code = journal(&[(Step::Stop, 2), (Step::Start, 1), (Step::Probe, 3), (Step::Bake, 9)]);
        assert_eq!((real(&code), rest(&code)), (None, Some(6000)));
        let failed = journal(&[(Step::Close, 0), (Step::Stop, 2), (Step::Return, 1), (Step::Reopen, 1)]);
        assert_eq!(real(&failed), Some(4000));
    }

    #[test]
    fn what_was_measured_counts_more_than_what_is_assumed() {
        let mut next = good("c");
        let guess = predict(&next, &[]);
        assert_eq!((guess.twin, guess.migrate, guess.rest, guess.predicted), (2300, 700, 15_000, 18_000));
        next.database_bytes *= 2;
        let known = predict(&next, &[journal(&[]), fenced()]);
        assert_eq!((known.twin, known.migrate, known.rest), (8000, 700, 5000));
    }
}
