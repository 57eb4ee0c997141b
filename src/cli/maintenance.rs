//! `tsh-agent maintenance`.

use std::time::Duration;

use super::{Failure, say, which};
use crate::api::client::Client;
use crate::model::gates::HoldKind;
use crate::model::names::App;
use crate::model::outcome::Exit;
use crate::steps::probe;

/// Whoever does not answer in this time keeps nobody out.
const ANSWER: Duration = Duration::from_secs(5);
/// What nginx answers behind a closed door.
const CLOSED: u16 = 503;

/// Keep people out, or let them in again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    On(On),
    Off(Off),
}

/// Keep people out: nginx answers 503 until `off`.
///
/// It outlives a reboot, and no deployment ends it; deployments go on behind it.
#[derive(Debug, clap::Args)]
struct On {
    /// Why, for those who find it.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

/// Let people in again.
#[derive(Debug, clap::Args)]
struct Off {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    match args.verb {
        Verb::On(args) => on(args).await,
        Verb::Off(args) => off(args).await,
    }
}

async fn on(args: On) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    client.hold(&app, HoldKind::Maintenance, None, &args.reason).await?;
    // The core sees the files that nginx looks for, and not whether nginx looks: that is asked as people ask.
    let users = crate::config::load(&app).ok().and_then(|settings| settings.probe.users);
    let seen = match &users {
        Some(url) => seen(url, ask(url).await)?,
        None => "whether nginx answers 503 was not asked: `probe.users` names no address".to_owned(),
    };
    say::out(&format!("{app} is closed for maintenance; `tsh-agent maintenance off` opens it\n{seen}\n"));
    Ok(Exit::Good)
}

async fn off(args: Off) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    client.lift(&app, HoldKind::Maintenance).await?;
    let status = client.status(&app).await?;
    let still = match (status.door_closed, status.running) {
        (false, _) => String::new(),
        (true, Some(id)) => format!("deployment {id} has its door closed: people come in when it opens it\n"),
        (true, None) => "the door is closed all the same: `tsh-agent status` says why\n".to_owned(),
    };
    say::out(&format!("{app} is not closed for maintenance any more\n{still}"));
    Ok(Exit::Good)
}

/// The status that comes back, or why none does.
async fn ask(url: &str) -> Result<u16, String> {
    let client = probe::lonely_client().map_err(|cause| cause.what)?;
    match tokio::time::timeout(ANSWER, client.get(url).send()).await {
        Ok(Ok(answer)) => Ok(answer.status().as_u16()),
        Ok(Err(error)) => Err(crate::host::chain(&error)),
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
    }
}

/// What that means for people.
fn seen(url: &str, answer: Result<u16, String>) -> Result<String, Failure> {
    match answer {
        Ok(CLOSED) => Ok(format!("{url} answers 503")),
        Ok(other) => {
            let what = format!("people are not kept out: {url} answers {other}");
            Err(Failure::new(Exit::Untouched, what)
                .now("the door is closed, and nginx does not look at it")
                .hint("`sudo tsh-agent check` says what nginx lacks; `tsh-agent maintenance off` takes it back"))
        }
        Err(why) => Ok(format!("whether nginx answers 503 is not known: {url}: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_the_application_is_no_maintenance() {
        let url = "http://127.0.0.1/health";
        assert_eq!(seen(url, Ok(503)).unwrap(), "http://127.0.0.1/health answers 503");
        let failure = seen(url, Ok(200)).unwrap_err();
        assert_eq!(
            (failure.exit, failure.what.as_str()),
            (Exit::Untouched, "people are not kept out: http://127.0.0.1/health answers 200")
        );
        assert!(seen(url, Err("connection refused".into())).unwrap().contains("not known"));
    }
}
