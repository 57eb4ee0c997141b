//! `tsh-agent watch`.

use super::follow::Session;
use super::{Failure, which};
use crate::model::names::DeploymentId;
use crate::model::outcome::Exit;

/// Watch a deployment until it ends; the exit code is its result.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number; the one that runs now if none is named.
    id: Option<DeploymentId>,
    /// Show what the steps say.
    #[arg(short, long)]
    verbose: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let session = Session::open().await?;
    let id = match args.id {
        Some(id) => id,
        None => which::running(&session.client).await?,
    };
    session.follow(id, args.verbose).await
}
