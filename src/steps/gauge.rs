//! Measures what users feel: asks what they ask ten times a second, until the request for it is gone. Each question is
//! asked at its time, whether or not the one before was answered, over a connection of its own.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::probe::lonely_client;
use super::{Job, Outcome, not_mine};
use crate::model::journal::{Cause, Felt, Output};
use crate::model::request::Work;
use crate::paths;

const EVERY: Duration = Duration::from_millis(100);
/// The end is noticed within this time.
const GLANCE: Duration = Duration::from_millis(20);
/// Whoever waits longer has gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// One question.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Duration,
    took: Duration,
    good: bool,
}

/// Asks until the request is gone.
pub async fn run(job: &Job) -> Outcome {
    let Work::Gauge { .. } = &job.request.work else { return Err(not_mine()) };
    let users = job.settings.probe.users().ok_or_else(|| Cause::new("there is nothing that users ask over HTTP"))?;
    let client = lonely_client()?;
    let request = job.at(&paths::request(&job.settings.app, "gauge"));
    let (began, mut asked, mut answers) = (Instant::now(), JoinSet::new(), Vec::new());
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while request.exists() {
        tokio::select! {
            _ = ticks.tick() => {
                let (client, url, at) = (client.clone(), users.to_owned(), began.elapsed());
                asked.spawn(async move {
                    let answer = tokio::time::timeout(PATIENCE, client.get(url).send()).await;
                    let good = matches!(answer, Ok(Ok(answer)) if answer.status().as_u16() < 500);
                    Asked { at, took: began.elapsed().saturating_sub(at), good }
                });
            }
            Some(Ok(answer)) = asked.join_next() => answers.push(answer),
            () = sleep(GLANCE) => {}
        }
    }
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer);
    }
    Ok(Output::Felt(felt(answers, began.elapsed())))
}

/// Sums it up.
fn felt(mut asked: Vec<Asked>, end: Duration) -> Felt {
    asked.sort_by_key(|asked| asked.at);
    let (mut down, mut since) = (Duration::ZERO, None);
    for one in &asked {
        match (one.good, since) {
            (false, None) => since = Some(one.at),
            (true, Some(first)) => {
                down += one.at.saturating_sub(first);
                since = None;
            }
            _ => {}
        }
    }
    down += since.map(|first| end.saturating_sub(first)).unwrap_or_default();
    let slowest = asked.iter().filter(|asked| asked.good).map(|asked| asked.took).max().unwrap_or_default();
    let count = |good: Option<bool>| {
        let those = asked.iter().filter(|asked| good.is_none_or(|good| asked.good == good)).count();
        u64::try_from(those).unwrap_or(u64::MAX)
    };
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Felt {
        requests: count(None),
        failed: count(Some(false)),
        down_ms: milliseconds(down),
        slowest_ms: milliseconds(slowest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(at: u64, took: u64, good: bool) -> Asked {
        Asked { at: Duration::from_millis(at), took: Duration::from_millis(took), good }
    }

    #[test]
    fn downtime_is_from_the_first_failure_to_the_next_answer() {
        let seen = vec![
            asked(300, 900, true),
            asked(0, 10, true),
            asked(100, 5000, false),
            asked(200, 1, false),
            asked(400, 1, false),
        ];
        let end = Duration::from_millis(500);
        assert_eq!(felt(seen, end), Felt { requests: 5, failed: 3, down_ms: 200 + 100, slowest_ms: 900 });
        assert_eq!(felt(vec![], end), Felt::default());
    }
}
