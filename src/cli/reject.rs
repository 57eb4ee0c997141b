//! `tsh-agent reject`.

use super::{Failure, say};
use crate::api::client::Client;
use crate::model::names::DeploymentId;
use crate::model::outcome::Exit;

/// Reject a deployment that waits for approval; it ends as refused.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number.
    id: DeploymentId,
    /// Why, for who asked for it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let id = args.id;
    Client::connect(None).await?.decide(id, false, &args.reason).await?;
    say::out(&format!("deployment {id} is rejected\n"));
    Ok(Exit::Good)
}
