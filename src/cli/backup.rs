//! `tsh-agent backup`.

mod cat;
mod fetch;
mod key;
mod restore_files;

use std::io;
use std::path::Path;
use std::time::Duration;

use super::follow::Detach;
use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::{Client, Error};
use crate::config;
use crate::init::credentials;
use crate::model::care::{CareView, Kind};
use crate::model::journal::Cause;
use crate::model::names::{App, BackupName};
use crate::model::outcome::Exit;
use crate::steps::sealed::Keys;

/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(500);
/// How long the agent may be away; an upgrade takes a few seconds.
const AWAY: Duration = Duration::from_secs(60);

/// Take, prove, list, restore and prune backups of the database.
///
/// Only a backup that was restored into a cluster of its own, and whose tables all matched, is called proven.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Now(Now),
    List(List),
    Show(Show),
    Verify(Verify),
    Restore(super::restore::Args),
    RestoreFiles(restore_files::Args),
    Push(Push),
    Fetch(fetch::Args),
    Cat(cat::Args),
    Key(key::Args),
    Prune(Prune),
}

/// Take a backup now, and prove it.
///
/// It goes on if this terminal goes away. It is refused while a deployment runs, and a deployment is refused while it is
/// being written; a proof gives way to a deployment.
#[derive(Debug, clap::Args)]
struct Now {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// As the timer does it: delete what is no longer kept afterwards.
    #[arg(long)]
    daily: bool,
    /// Do not watch.
    #[arg(long)]
    detach: bool,
}

/// List the backups, newest first, and what is proven about each; then the databases that were set aside.
#[derive(Debug, clap::Args)]
struct List {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// With --json: the databases that were set aside, in place of the backups.
    #[arg(long, requires = "json")]
    quarantines: bool,
}

/// Show everything about one backup.
#[derive(Debug, clap::Args)]
struct Show {
    /// Its name.
    name: BackupName,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prove a backup: restore it into a cluster of its own and compare every table.
#[derive(Debug, clap::Args)]
struct Verify {
    /// Its name; the newest if none is named.
    name: Option<BackupName>,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Do not watch.
    #[arg(long)]
    detach: bool,
}

/// Carry the backups that are not off-site to the store that [offsite] names.
///
/// The timer does the same after each backup.
#[derive(Debug, clap::Args)]
struct Push {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Do not watch.
    #[arg(long)]
    detach: bool,
}

/// Delete the backups that are no longer kept, as [backup] in the settings says.
#[derive(Debug, clap::Args)]
struct Prune {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Only show which ones, and why.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON; with --dry-run.
    #[arg(long, requires = "dry_run")]
    json: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    // These need no agent, so that they work where nothing else does.
    match &args.verb {
        Verb::Fetch(args) => return fetch::run(args).await,
        Verb::RestoreFiles(args) => return restore_files::run(args),
        Verb::Cat(args) => return cat::run(args),
        Verb::Key(args) => return key::run(args),
        _ => {}
    }
    let client = Client::connect(None).await?;
    let look = terminal::look(&io::stdout());
    match args.verb {
        Verb::Now(Now { app, daily, detach }) => {
            let app = which::app(&client, app).await?;
            let id = client.back_up(&app, daily).await?;
            follow(client, id, detach).await
        }
        Verb::Verify(Verify { name, app, detach }) => {
            let app = which::app(&client, app).await?;
            let id = client.verify_backup(&app, name.as_ref()).await?;
            follow(client, id, detach).await
        }
        Verb::Restore(args) => super::restore::run(client, args).await,
        Verb::Prune(Prune { app, dry_run, json }) => {
            let app = which::app(&client, app).await?;
            if !dry_run {
                let id = client.prune_backups(&app).await?;
                return follow(client, id, false).await;
            }
            let doomed = client.doomed_backups(&app).await?;
            if json {
                return say_json(&doomed);
            }
            say::out(&render::backup::doomed(&doomed, &look));
            Ok(Exit::Good)
        }
        Verb::List(List { app, json, quarantines }) => {
            let app = which::app(&client, app).await?;
            if quarantines {
                return say_json(&client.quarantines(&app).await?);
            }
            let rows = client.backups(&app).await?;
            if json {
                return say_json(&rows);
            }
            say::out(&render::backup::list(&rows, &look));
            // A database that is down says nothing about the backups.
            match client.quarantines(&app).await {
                Ok(aside) => say::out(&render::quarantine::list(&aside, &look)),
                Err(error) => say::err(&format!("\nwhat was set aside is not known: {error}\n")),
            }
            Ok(Exit::Good)
        }
        Verb::Push(Push { app, detach }) => {
            let app = which::app(&client, app).await?;
            let id = client.push_backups(&app).await?;
            follow(client, id, detach).await
        }
        Verb::Fetch(_) | Verb::RestoreFiles(_) | Verb::Cat(_) | Verb::Key(_) => Ok(Exit::Good),
        Verb::Show(Show { name, app, json }) => {
            let app = which::app(&client, app).await?;
            let view = client.backup(&app, &name).await?;
            if json {
                return say_json(&view);
            }
            say::out(&render::backup::show(&view, &look));
            Ok(Exit::Good)
        }
    }
}

/// The application, where no agent need be there to ask.
fn local_app(named: Option<&App>) -> Result<App, Failure> {
    match named {
        Some(app) => Ok(app.clone()),
        None => which::only(config::apps().map_err(|error| Failure::new(Exit::Usage, error.to_string()))?),
    }
}

/// What opens the application's backups: the named file's identities, or this server's own.
fn keys(app: &App, named: Option<&Path>) -> Result<Keys, Failure> {
    let own = credentials::identity(app);
    let keys = match named {
        Some(path) => Keys::read(path),
        None if own.exists() => Keys::read(&own),
        None => Ok(Keys::default()),
    };
    keys.map_err(untouched)
}

fn untouched(cause: Cause) -> Failure {
    let mut failure = Failure::new(Exit::Untouched, cause.what).now("what is live is as it was");
    failure.hint = cause.hint;
    failure
}

/// Shows the parts of it until it ends. It is the agent's: nothing here stops it.
async fn follow(mut client: Client, id: u32, detach: bool) -> Result<Exit, Failure> {
    if detach {
        say::out("accepted; `tsh-agent backup list` shows what came of it\n");
        return Ok(Exit::Good);
    }
    let mut signals =
        Detach::new().map_err(|error| Failure::new(Exit::Untouched, format!("signals cannot be received: {error}")))?;
    let (mut shown, mut live) = (0, false);
    loop {
        let view = match client.backup_run(id).await {
            Err(Error::Lost | Error::NotRunning) => {
                client.come_back(AWAY).await.map_err(|_| lost())?;
                continue;
            }
            other => other?,
        };
        let look = terminal::look(&io::stdout());
        let over = view.care.parts.iter().take_while(|part| part.state != "running").count();
        for part in &view.care.parts[shown.min(over)..over] {
            say::out(&format!("{}{}", clear(&mut live), render::backup::part(part, &look)));
        }
        shown = over;
        if view.state != "running" {
            say::out(clear(&mut live));
            return ended(&view);
        }
        if let (Some(part), true) = (view.care.parts.get(over), terminal::is_live()) {
            // One column stays free: a full line makes some terminals wrap.
            let narrow = render::Look { width: look.width.saturating_sub(1), ..look };
            let line = render::backup::part(part, &narrow);
            say::out(&format!("{}{}", clear(&mut live), line.trim_end_matches('\n')));
            live = true;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = signals.asked() => {
                say::out(clear(&mut live));
                say::err("\ndetached: it goes on, and its result is not known yet\n`tsh-agent backup list` shows what came of it\n");
                return Ok(Exit::Unknown);
            }
        }
    }
}

fn clear(live: &mut bool) -> &'static str {
    if std::mem::take(live) { "\r\u{1b}[K" } else { "" }
}

fn ended(view: &CareView) -> Result<Exit, Failure> {
    // Who asked for this alone has not got it.
    let late = view.care.late().filter(|_| view.care.kind == Kind::Push);
    let Some(failed) = view.care.failure().or(late) else {
        say::out(&render::backup::ended(view, &terminal::look(&io::stdout())));
        return Ok(Exit::Good);
    };
    let name = view.care.backup.as_ref().map(BackupName::as_str).unwrap_or_default();
    let what = if name.is_empty() || failed.detail.contains(name) {
        failed.detail.clone()
    } else {
        format!("{}: {}", name, failed.detail)
    };
    let mut failure = Failure::new(Exit::Untouched, what).now("the application goes on as before");
    let hint = failed.cause.as_ref().and_then(|cause| cause.hint.clone());
    let log = format!("`journalctl -u 'tsh-agent-{}@*' -e` has more", failed.part.unit_kind());
    failure.hint = Some(hint.unwrap_or(log));
    Err(failure)
}

fn lost() -> Failure {
    let away = AWAY.as_secs();
    Failure::new(Exit::Unknown, format!("the agent has been away for {away} s; what came of it is not known"))
        .hint("`systemctl status tsh-agent`, then `tsh-agent backup list`")
}
