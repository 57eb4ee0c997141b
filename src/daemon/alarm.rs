//! What `check` says about backups: whether there is one to stand on, and how old it is.

use std::time::Duration;

use crate::host::backups as kept;
use crate::model::backup::BackupRow;
use crate::model::finding::Finding;
use crate::model::names::App;
use crate::when;

/// How the backups of an application are.
pub(super) fn backups(app: &App, alarm: Option<Duration>, now: i64) -> Finding {
    match kept::all(app) {
        Ok(all) => age(&all.into_iter().map(|view| view.row).collect::<Vec<_>>(), alarm, now),
        Err(error) => {
            Finding::bad("backups", format!("they cannot be read: {error}")).mend(format!("sudo tsh-agent init {app}"))
        }
    }
}

/// `rows` are the newest first.
fn age(rows: &[BackupRow], alarm: Option<Duration>, now: i64) -> Finding {
    let mut own = rows.iter().filter(|row| row.quarantine.is_none());
    let take = "tsh-agent backup now";
    let Some(newest) = own.clone().next() else {
        return Finding::warning("backups", "there is none").mend(take);
    };
    let ago = |row: &BackupRow| row.at.map_or_else(|| "?".to_owned(), |at| format!("{} ago", when::lasted(now - at)));
    let Some(proven) = own.find(|row| row.is_proven()) else {
        let what = format!("none is proven; the newest was taken {}", ago(newest));
        return Finding::warning("backups", what).mend("tsh-agent backup verify");
    };
    let late =
        |at: i64| alarm.is_some_and(|alarm| i128::from(now - at) > i128::try_from(alarm.as_millis()).unwrap_or(0));
    let what = format!("the newest proven one was taken {}", ago(proven));
    if proven.at.is_none_or(late) {
        let level = newest.level.map_or("no backup", |level| level.word());
        let what = format!("{what}; the newest of all {} is {level}", ago(newest));
        return Finding::warning("backups", what).mend(take);
    }
    Finding::ok("backups", what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::Level;
    use crate::model::finding::Level as Found;
    use crate::model::names::DeploymentId;

    const HOUR: i64 = 3_600_000;

    /// Newest first: hours of age, and what is proven.
    fn told(rows: &[(i64, Level, bool)]) -> (Found, String) {
        let row = |(index, (hours, level, aside)): (usize, &(i64, Level, bool))| BackupRow {
            name: format!("{:08}T000000Z", 20_000_000 + index).parse().unwrap(),
            at: Some(1000 * HOUR - hours * HOUR),
            deployment: None,
            quarantine: aside.then_some(DeploymentId(7)),
            running: None,
            bytes: 1,
            database_bytes: 1,
            tables: 1,
            rows: 1,
            offsite: false,
            level: Some(*level),
            problem: None,
        };
        let rows: Vec<BackupRow> = rows.iter().enumerate().map(row).collect();
        let found = age(&rows, Some(Duration::from_hours(48)), 1000 * HOUR);
        assert_eq!(
            age(&rows, None, 1_000_000 * HOUR).level == Found::Ok,
            rows.iter().any(|row| row.is_proven() && row.quarantine.is_none())
        );
        (found.level, found.what)
    }

    #[test]
    fn what_is_proven_and_how_long_ago() {
        use Level::{Matched, Written};
        assert_eq!(told(&[]), (Found::Warning, "there is none".to_owned()));
        assert_eq!(told(&[(1, Matched, true)]).1, "there is none", "the dump of a quarantine is none");
        assert!(told(&[(1, Written, false)]).1.starts_with("none is proven; the newest was taken 1 h"));
        let good = told(&[(1, Written, false), (47, Matched, false)]);
        assert_eq!(good.0, Found::Ok, "{good:?}");
        let late = told(&[(1, Written, false), (2, Matched, true), (49, Matched, false)]);
        assert_eq!(late.0, Found::Warning);
        assert!(late.1.contains("the newest of all 1 h") && late.1.ends_with("is written"), "{late:?}");
    }
}
