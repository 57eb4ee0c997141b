//! Which backups are kept.

use std::collections::BTreeSet;

use super::names::BackupName;

/// Backups of this age are all kept.
const ALL_DAYS: i64 = 7;
/// The dump of a quarantine is kept for so long.
const ASIDE_DAYS: i64 = 30;
const DAY: i64 = 86_400_000;

/// What retention has to know about a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: BackupName,
    /// The moment it shows, in milliseconds since 1970 (UTC).
    pub at: i64,
    /// What it takes on disk, in bytes.
    pub bytes: u64,
    /// Whether it was restored and matched.
    pub proven: bool,
    /// Whether it is known not to be good.
    pub damaged: bool,
    /// Whether a deployment may need it that can still be gone back to.
    pub needed: bool,
    /// Whether it is the dump of a quarantine: it stands for no day, and for no other backup.
    pub aside: bool,
}

/// How long and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Days for which one of each day is kept.
    pub keep_days: u32,
    /// How many are kept however old they are.
    pub min_keep: usize,
    /// What all together may take, in bytes.
    pub max_bytes: Option<u64>,
}

/// Why a backup may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is a better one of the same day.
    SameDay,
    /// It is older than the days to keep.
    Old,
    /// All together take too much.
    Space,
    /// It is the dump of a quarantine, and its time is over.
    Aside,
}

impl Reason {
    /// As a person reads it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::SameDay => "older than 7 days, not the one of its day",
            Self::Old => "older than keep_days",
            Self::Aside => "the dump of a quarantine, older than 30 days",
            Self::Space => "all backups take more than max_bytes",
        }
    }
}

/// The backups that may go, oldest first. Never the newest proven one, nor one that is needed.
#[must_use]
pub fn doomed(backups: &[Kept], rule: Rule, now: i64) -> Vec<(BackupName, Reason)> {
    let mut all: Vec<&Kept> = backups.iter().filter(|backup| !backup.aside).collect();
    all.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.name.cmp(&a.name)));
    let newest_proven = all.iter().find(|backup| backup.proven).map(|backup| &backup.name);
    // A damaged one is no backup, so it does not make the number full.
    let least: Vec<&BackupName> =
        all.iter().filter(|backup| !backup.damaged).take(rule.min_keep).map(|backup| &backup.name).collect();
    let safe = |backup: &Kept| backup.needed || Some(&backup.name) == newest_proven || least.contains(&&backup.name);
    let of_day = best_of_each_day(&all);
    let mut out: Vec<(BackupName, Reason)> = Vec::new();
    let mut left: Vec<&Kept> = Vec::new();
    for backup in &all {
        let age = now - backup.at;
        let reason = if age > i64::from(rule.keep_days) * DAY {
            Some(Reason::Old)
        } else if age > ALL_DAYS * DAY && !of_day.contains(&backup.name) {
            Some(Reason::SameDay)
        } else {
            None
        };
        match reason.filter(|_| !safe(backup)) {
            Some(reason) => out.push((backup.name.clone(), reason)),
            None => left.push(backup),
        }
    }
    if let Some(max) = rule.max_bytes {
        let mut total: u64 = left.iter().map(|backup| backup.bytes).sum();
        for backup in left.iter().rev().filter(|backup| !safe(backup)) {
            if total <= max {
                break;
            }
            total -= backup.bytes;
            out.push((backup.name.clone(), Reason::Space));
        }
    }
    let aside = backups.iter().filter(|backup| backup.aside && now - backup.at > ASIDE_DAYS * DAY);
    out.extend(aside.map(|backup| (backup.name.clone(), Reason::Aside)));
    out.sort_by_key(|(name, _)| backups.iter().find(|backup| backup.name == *name).map(|backup| backup.at));
    out
}

/// The newest proven one of each day, or the newest that is not damaged, or the newest.
fn best_of_each_day(newest_first: &[&Kept]) -> BTreeSet<BackupName> {
    let mut days: Vec<i64> = newest_first.iter().map(|backup| backup.at.div_euclid(DAY)).collect();
    days.dedup();
    let best = |day: i64| {
        let of = || newest_first.iter().filter(move |backup| backup.at.div_euclid(DAY) == day);
        of().find(|backup| backup.proven).or_else(|| of().find(|backup| !backup.damaged)).or_else(|| of().next())
    };
    days.into_iter().filter_map(best).map(|backup| backup.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday, noon.
    const NOW: i64 = 20_000 * DAY + DAY / 2;

    /// "age in days" with marks: `p` proven, `d` damaged, `n` needed, `q` of a quarantine. Each takes 10 bytes.
    fn backups(words: &str) -> Vec<Kept> {
        let one = |(index, word): (usize, &str)| {
            let marks = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let age: f64 = word[..word.len() - marks.len()].parse().unwrap();
            #[expect(clippy::cast_possible_truncation, reason = "days of a test")]
            let at = NOW - (age * DAY as f64) as i64;
            Kept {
                name: format!("{:08}T{:06}Z", 10_000_000 + index, 0).parse().unwrap(),
                at,
                bytes: 10,
                proven: marks.contains('p'),
                damaged: marks.contains('d'),
                needed: marks.contains('n'),
                aside: marks.contains('q'),
            }
        };
        words.split_whitespace().enumerate().map(one).collect()
    }

    /// The words of those that go.
    fn gone(words: &str, min_keep: usize, max_bytes: Option<u64>) -> String {
        let all = backups(words);
        let rule = Rule { keep_days: 30, min_keep, max_bytes };
        let doomed = doomed(&all, rule, NOW);
        let word = |name: &BackupName| {
            let index = all.iter().position(|backup| backup.name == *name).unwrap();
            words.split_whitespace().nth(index).unwrap().to_owned()
        };
        doomed.iter().map(|(name, reason)| format!("{}:{reason:?}", word(name))).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_goes() {
        for (words, min_keep, max_bytes, want) in [
            ("", 1, None, ""),
            // All of a week, however many.
            ("0p 0.1 0.2 1 1.1 6.9", 1, None, ""),
            // Before that, one a day: the newest proven, else the newest good, else the newest.
            ("0p 10 10.1 10.2", 1, None, "10.2:SameDay 10.1:SameDay"),
            ("0p 10 10.1p 10.2", 1, None, "10.2:SameDay 10:SameDay"),
            ("0p 10d 10.1 10.2", 1, None, "10.2:SameDay 10d:SameDay"),
            ("0p 10d 10.1d", 1, None, "10.1d:SameDay"),
            ("0p 31 32p 400", 1, None, "400:Old 32p:Old 31:Old"),
            // The newest proven one stays whatever its age is.
            ("0 31 32p 33p", 1, None, "33p:Old 31:Old"),
            // So do the newest few, and damaged ones are none of them.
            ("40 41 42 43", 3, None, "43:Old"),
            ("40d 41 42 43", 2, None, "43:Old 40d:Old"),
            // What a deployment may need.
            ("0p 31n 32", 1, None, "32:Old"),
            ("0p 1n 2 3 4", 1, Some(30), "4:Space 3:Space"),
            // The dump of a quarantine stands for nothing else, and goes by its age alone.
            ("0pq 1p 29pq 31pq 40p", 1, None, "40p:Old 31pq:Aside"),
            ("0 0.1pq 10 10.1pq", 1, Some(10), "10:Space"),
            // No limit makes the last proven one go.
            ("0 5p", 1, Some(5), ""),
            ("0 1 2p 3 4p", 1, Some(20), "4p:Space 3:Space 1:Space"),
            ("0 1 2 3", 2, Some(1), "3:Space 2:Space"),
            // Age first, and then space.
            ("0p 20 21 31", 1, Some(20), "31:Old 21:Space"),
        ] {
            assert_eq!(gone(words, min_keep, max_bytes), want, "{words}");
        }
    }

    #[test]
    fn a_proven_backup_is_never_lost_by_pruning_again_and_again() {
        for words in ["0d 1d 2p 3 4p", "50 51p 52", "8 8.1p 8.2 9 9.1", "100n 101p 102d 103"] {
            let mut all = backups(words);
            let newest =
                all.iter().filter(|backup| backup.proven).max_by_key(|backup| backup.at).map(|b| b.name.clone());
            for day in 0..100 {
                let rule = Rule { keep_days: 7, min_keep: 1, max_bytes: Some(1) };
                let gone = doomed(&all, rule, NOW + day * DAY);
                all.retain(|backup| !gone.iter().any(|(name, _)| *name == backup.name));
            }
            assert!(newest.is_none_or(|name| all.iter().any(|backup| backup.name == name)), "{words}");
            assert!(!all.is_empty());
        }
    }
}
