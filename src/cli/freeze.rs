//! `tsh-agent freeze`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::{Failure, say, terminal, which};
use crate::api::client::Client;
use crate::model::gates::HoldKind;
use crate::model::names::App;
use crate::model::outcome::Exit;
use crate::when;

/// Freeze the application: nothing is deployed until a moment.
///
/// What is ordered meanwhile waits; going back stays possible.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Until when: "2026-12-27 08:00" in this machine's time zone, with a zone of its own as RFC 3339 has it, or for how
    /// long: "36h".
    #[arg(long, value_name = "TIME")]
    until: String,
    /// Why, for those who find it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let until = moment(&args.until, &TimeZone::system(), Timestamp::now()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{:?} is no moment", args.until))
            .hint("\"2026-12-27 08:00\", \"2026-12-27T08:00:00+01:00\" or \"36h\"")
    })?;
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    client.hold(&app, HoldKind::Freeze, Some(until), &args.reason).await?;
    let end = when::minute(until, &terminal::look(&std::io::stdout()).zone);
    say::out(&format!("{app} is frozen until {end}; `tsh-agent unfreeze` ends it before\n"));
    Ok(Exit::Good)
}

/// What is meant, in milliseconds since 1970 (UTC).
fn moment(text: &str, zone: &TimeZone, now: Timestamp) -> Option<i64> {
    let absolute = || text.parse::<Timestamp>().ok().or_else(|| text.parse::<Zoned>().ok().map(|at| at.timestamp()));
    let local = || text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok().map(|at| at.timestamp());
    let ahead = || now.checked_add(text.parse::<SignedDuration>().ok()?).ok();
    absolute().or_else(local).or_else(ahead).map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_absolute_local_or_ahead_and_follows_the_clock_on_the_wall() {
        let (berlin, now) = (TimeZone::get("Europe/Berlin").unwrap(), "2026-03-28T12:00:00Z".parse().unwrap());
        let means =
            |text: &str| moment(text, &berlin, now).map(|ms| Timestamp::from_millisecond(ms).unwrap().to_string());
        // On 2026-03-29 at 02:00 the clock is put forward.
        assert_eq!(means("2026-03-29 01:59").unwrap(), "2026-03-29T00:59:00Z");
        assert_eq!(means("2026-03-29 03:00").unwrap(), "2026-03-29T01:00:00Z");
        assert_eq!(means("2026-03-29 02:30").unwrap(), "2026-03-29T01:30:00Z", "left out: as long after");
        assert_eq!(means("2026-10-25 02:30").unwrap(), "2026-10-25T00:30:00Z", "twice: the first");
        assert_eq!(means("2026-03-29T02:30:00+01:00").unwrap(), "2026-03-29T01:30:00Z");
        assert_eq!(means("24h").unwrap(), "2026-03-29T12:00:00Z");
        assert_eq!(means("tomorrow"), None);
    }
}
