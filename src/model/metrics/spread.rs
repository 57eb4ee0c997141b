//! How durations are spread: how many of them took at most so long.

use serde::{Deserialize, Serialize};

use super::Sample;

/// What deployments are held against, in milliseconds.
pub(super) const TOOK: [u32; 9] = [5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000];
/// What the time without a good answer is held against, in milliseconds; none at all is what one wants to see.
pub(super) const DOWN: [u32; 9] = [0, 100, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// How many took at most so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// So long, in milliseconds.
    pub most: u32,
    /// How many, those that took less among them.
    pub count: u64,
}

/// Some durations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// What they are together, in milliseconds.
    pub sum: i64,
    /// How many of them took at most so long, the shortest first.
    pub within: Vec<Within>,
}

impl Spread {
    /// One more, in milliseconds. The bounds are the same each time.
    pub(super) fn add(&mut self, bounds: &[u32], ms: i64) {
        self.count += 1;
        self.sum += ms;
        add(&mut self.within, bounds, ms);
    }
}

/// Counts one duration wherever it belongs.
pub(super) fn add(within: &mut Vec<Within>, bounds: &[u32], ms: i64) {
    if within.is_empty() {
        within.extend(bounds.iter().map(|most| Within { most: *most, count: 0 }));
    }
    within.iter_mut().filter(|within| ms <= i64::from(within.most)).for_each(|within| within.count += 1);
}

/// As a histogram, with these labels.
pub(super) fn samples(labels: &[(&'static str, String)], within: &[Within], count: u64, sum: String) -> Vec<Sample> {
    let bucket = |bound: String, count: u64| {
        let bound = [("le", bound)];
        ("_bucket", labels.iter().cloned().chain(bound).collect(), count.to_string())
    };
    // `{:?}` writes a whole number as 5.0, which is how a bound is to be written.
    let mut all: Vec<Sample> =
        within.iter().map(|one| bucket(format!("{:?}", f64::from(one.most) / 1000.0), one.count)).collect();
    all.push(bucket("+Inf".to_owned(), count));
    all.push(("_count", labels.to_vec(), count.to_string()));
    all.push(("_sum", labels.to_vec(), sum));
    all
}
