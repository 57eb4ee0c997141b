//! `tsh-agent status`.

use std::time::Duration;

use super::follow::Detach;
use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::Client;
use crate::config::Settings;
use crate::model::names::App;
use crate::model::outcome::Exit;
use crate::model::request::Watched;
use crate::model::view::{AnswerNow, StatusView};
use crate::paths;
use crate::steps::{manifest, probe};

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Show what is live now, and whether it is well.
///
/// What runs is asked from the application, from systemd and from the database, not from memory.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// One line, for a prompt or the message of the day.
    #[arg(long, conflicts_with = "json")]
    oneline: bool,
    /// Also read every file of the live release and compare it with what was sealed. Takes seconds.
    #[arg(long)]
    drift: bool,
    /// Look again and again, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["json", "drift"])]
    watch: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app.clone()).await?;
    if args.watch {
        return watch(&client, &app, args.oneline).await;
    }
    let mut view = look(&client, &app).await?;
    if args.drift {
        view.drift.extend(compare(&view));
    }
    if args.json {
        return say_json(&view);
    }
    say::out(&screen(&view, args.oneline));
    Ok(Exit::Good)
}

fn screen(view: &StatusView, oneline: bool) -> String {
    let look = terminal::look(&std::io::stdout());
    if oneline { render::status::oneline(view, &look) } else { render::status::status(view, &look) }
}

async fn watch(client: &Client, app: &App, oneline: bool) -> Result<Exit, Failure> {
    let mut detach =
        Detach::new().map_err(|error| Failure::new(Exit::Untouched, format!("signals cannot be received: {error}")))?;
    loop {
        let view = look(client, app).await?;
        // Home, and clear what is below: without a terminal one screen follows the other.
        let clear = if terminal::is_live() { "\u{1b}[H\u{1b}[2J" } else { "" };
        say::out(&format!("{clear}{}", screen(&view, oneline)));
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = detach.asked() => return Ok(Exit::Good),
        }
    }
}

/// What the core knows, and what only somebody with the network and this user's rights can see.
async fn look(client: &Client, app: &App) -> Result<StatusView, Failure> {
    let mut view = client.status(app).await?;
    // The core has said already what is wrong with the settings, if anything is.
    if let Ok(settings) = crate::config::load(app) {
        if view.release.is_some() && view.running.is_none() {
            view.answers = answers(&settings, &view).await;
        }
        processes(&settings, &mut view);
    }
    Ok(view)
}

/// Asks the application itself, each probe once.
async fn answers(settings: &Settings, view: &StatusView) -> Vec<AnswerNow> {
    let mut answers = Vec::new();
    for probe in &settings.probe.probes {
        if let Some((what, answer)) = probe::once(probe, view.revision.as_ref()).await {
            answers.push(AnswerNow { what, problem: answer.err() });
        }
    }
    answers
}

/// From where the processes run, as far as this user may look into them.
fn processes(settings: &Settings, view: &mut StatusView) {
    let Some(release) = view.release else { return };
    let (release, releases) = (paths::release(&settings.app, release), paths::releases(&settings.app));
    for unit in view.units.iter_mut().filter(|unit| unit.pid > 0) {
        if let Ok(name) = unit.name.parse() {
            unit.from_release = probe::runs_from(&Watched { unit: name, pid: unit.pid }, &release, &releases);
        }
    }
}

/// What of the live release is not what was sealed.
fn compare(view: &StatusView) -> Option<String> {
    let release = view.release?;
    match manifest::verify(&paths::release(&view.app, release)) {
        Ok(_) => None,
        Err(cause) => Some(cause.what),
    }
}
