//! `tsh-agent rollback`.

use super::follow::Session;
use super::{Failure, which};
use crate::model::names::{App, DeploymentId};
use crate::model::outcome::Exit;

/// Go back to a release that was live before, and watch until it is verified.
///
/// Only releases that are kept on the server can be gone back to; `history` lists them. The database stays as
/// it is: a release that does not know its schema is refused.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The deployment whose release is wanted; the one before the live one if none is named.
    #[arg(long, value_name = "ID")]
    to: Option<DeploymentId>,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Do not watch. Exit code 0 then only means that the rollback was accepted.
    #[arg(long, conflicts_with = "verbose")]
    detach: bool,
    /// Show what the steps say.
    #[arg(short, long)]
    verbose: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let session = Session::open().await?;
    let app = which::app(&session.client, args.app).await?;
    let id = session.client.rollback(&app, args.to).await?;
    if args.detach {
        return Ok(super::deploy::accepted(id));
    }
    session.follow(id, args.verbose).await
}
