//! `tsh-agent rollback`.

use super::follow::Session;
use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::Client;
use crate::model::names::{App, DeploymentId};
use crate::model::outcome::Exit;

/// Go back to a release that was live before, and watch until it is verified.
///
/// Only releases that are kept on the server can be gone back to; `history` lists them. The database stays as
/// it is: a release that does not know its schema is refused. Which case it is, and what would be lost, is told first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The deployment whose release is wanted; the one before the live one if none is named.
    #[arg(long, value_name = "ID")]
    to: Option<DeploymentId>,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Only show what would happen.
    #[arg(long, conflicts_with_all = ["detach", "verbose"])]
    dry_run: bool,
    /// Print JSON; with --dry-run.
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Do not watch. Exit code 0 then only means that the rollback was accepted.
    #[arg(long, conflicts_with = "verbose")]
    detach: bool,
    /// Show what the steps say.
    #[arg(short, long)]
    verbose: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    let plan = client.rollback_plan(&app, args.to).await?;
    if args.json {
        return say_json(&plan);
    }
    say::out(&render::rollback::plan(&plan, &terminal::look(&std::io::stdout())));
    if args.dry_run {
        return match plan.refused {
            None => Ok(Exit::Good),
            Some((what, hint)) => Err(Failure::new(Exit::Untouched, what).now("nothing was done").hint(hint)),
        };
    }
    let session = Session::open().await?;
    // The one that was told, whatever happened since. What would be refused is refused by the inspection, on record.
    let id = session.client.rollback(&app, Some(DeploymentId(plan.release.0))).await?;
    if args.detach {
        return Ok(super::deploy::accepted(id));
    }
    session.follow(id, args.verbose).await
}
