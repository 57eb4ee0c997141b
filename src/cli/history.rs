//! `tsh-agent history`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Failure, render, say, say_json, terminal};
use crate::api::client::Client;
use crate::model::names::App;
use crate::model::outcome::{Exit, Verdict};
use crate::model::view::HistoryRow;

/// How far back is looked where only some are wanted.
const LOOKED_AT: u32 = 10_000;

/// List the last deployments, newest first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only of this application.
    #[arg(long)]
    app: Option<App>,
    /// How many.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    limit: u32,
    /// Only those that ended so.
    #[arg(long, value_parser = Verdict::ALL.map(Verdict::word))]
    result: Option<String>,
    /// Only those that this user, webhook or key asked for.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only those asked for on this day or later.
    #[arg(long, value_name = "YYYY-MM-DD")]
    since: Option<Date>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let filtered = args.result.is_some() || args.by.is_some() || args.since.is_some();
    let limit = if filtered { LOOKED_AT } else { args.limit };
    let mut rows = Client::connect(None).await?.history(args.app.as_ref(), limit).await?;
    if filtered {
        rows.retain(|row| args.wants(row, &TimeZone::system()));
        rows.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
    }
    if args.json {
        return say_json(&rows);
    }
    say::out(&render::history::history(&rows, &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}

impl Args {
    fn wants(&self, row: &HistoryRow, zone: &TimeZone) -> bool {
        let day = |at: i64| Timestamp::from_millisecond(at).map(|at| at.to_zoned(zone.clone()).date()).ok();
        self.result.as_ref().is_none_or(|result| row.state == *result)
            && self.by.as_ref().is_none_or(|by| row.by == *by)
            && self.since.is_none_or(|since| day(row.accepted).is_some_and(|day| day >= since))
    }
}

#[cfg(test)]
mod tests {
    use super::super::render::fixtures;
    use super::*;

    #[test]
    fn a_row_must_fit_everything_that_is_asked() {
        let args = |result: Option<&str>, by: Option<&str>, since: Option<&str>| Args {
            app: None,
            limit: 20,
            result: result.map(str::to_owned),
            by: by.map(str::to_owned),
            since: since.map(|day| day.parse().unwrap()),
            json: false,
        };
        let ids = |args: Args| {
            let zone = fixtures::look().zone;
            let rows = fixtures::history().into_iter();
            rows.filter(|row| args.wants(row, &zone)).map(|row| row.id.0).collect::<Vec<_>>()
        };
        assert_eq!(ids(args(None, None, None)), [42, 41, 40]);
        assert_eq!(ids(args(Some("failed"), None, None)), [40]);
        assert_eq!(ids(args(None, Some("bob"), None)), [41]);
        assert_eq!(ids(args(None, None, Some("2026-11-20"))), [42, 41]);
        assert!(ids(args(Some("deployed"), Some("bob"), None)).is_empty());
    }
}
