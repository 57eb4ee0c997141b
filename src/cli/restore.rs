//! `tsh-agent backup restore`.

use std::io::{self, BufRead, IsTerminal, Write};

use super::follow::Session;
use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::Client;
use crate::model::names::{App, BackupName, ReleaseId};
use crate::model::outcome::Exit;
use crate::model::restore::RestoreView;

/// Put a backup in the place of the live database.
///
/// It is restored into a database beside the live one, which goes on serving, and compared with what the backup says it
/// is. Only then the application is stopped for the moment in which the two change names. The database that was live is
/// kept, with everything written since the backup; if the application is not healthy on the restored one, it is put back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The backup's name, as `backup list` shows it.
    name: BackupName,
    /// The release that is to run on it; the live one if none is named.
    #[arg(long, value_name = "ID")]
    release: Option<ReleaseId>,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// The database's name, for scripts; a person is asked to type it.
    #[arg(long, value_name = "DATABASE")]
    yes_restore: Option<String>,
    /// Only show what would leave the live database.
    #[arg(long, conflicts_with_all = ["yes_restore", "detach", "verbose"])]
    dry_run: bool,
    /// Print JSON; with --dry-run.
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Do not watch. Exit code 0 then only means that the restore was accepted.
    #[arg(long, conflicts_with = "verbose")]
    detach: bool,
    /// Show what the steps say.
    #[arg(short, long)]
    verbose: bool,
}

pub async fn run(client: Client, args: Args) -> Result<Exit, Failure> {
    let app = which::app(&client, args.app).await?;
    let plan = client.restore_plan(&app, &args.name, args.release).await?;
    if args.json {
        return say_json(&plan);
    }
    say::out(&render::restore::plan(&plan, &terminal::look(&io::stdout())));
    if let Some((what, hint)) = &plan.refused {
        let failure = Failure::new(Exit::Untouched, what.clone()).now("nothing was done");
        return Err(if hint.is_empty() { failure } else { failure.hint(hint.clone()) });
    }
    if args.dry_run {
        return Ok(Exit::Good);
    }
    let typed = match args.yes_restore {
        Some(typed) => typed,
        None => ask(&plan)?,
    };
    if typed != plan.database {
        let what = format!("the database is {}, and not {typed:?}", plan.database);
        return Err(Failure::new(Exit::Usage, what).now("nothing was done"));
    }
    // Only now: a session takes Ctrl-C for itself, and at the question it must end the program.
    let session = Session::open().await?;
    let id = session.client.restore(&app, &args.name, &typed, args.release).await?;
    if args.detach {
        return Ok(super::deploy::accepted(id));
    }
    session.follow(id, args.verbose).await
}

/// Asks for the database's name. A word like "yes" is typed too easily.
fn ask(plan: &RestoreView) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        let what = "there is no terminal to confirm at";
        let hint = format!("in a script: --yes-restore {}", plan.database);
        return Err(Failure::new(Exit::Usage, what).now("nothing was done").hint(hint));
    }
    let unreadable =
        |error: io::Error| Failure::new(Exit::Usage, format!("nothing could be read: {error}")).now("nothing was done");
    say::out("\ntype the database's name to restore, or leave with Ctrl-C: ");
    io::stdout().flush().map_err(unreadable)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
    Ok(line.trim().to_owned())
}
