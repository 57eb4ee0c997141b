//! `tsh-agent abort`.

use super::{Failure, say};
use crate::api::client::Client;
use crate::model::names::DeploymentId;
use crate::model::outcome::Exit;

/// Stop a running deployment, and undo what it did.
///
/// Possible until the new release is open to traffic.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number.
    id: DeploymentId,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let id = args.id;
    Client::connect(None).await?.abort(id).await?;
    say::out(&format!("deployment {id} stops and is undone; `tsh-agent watch {id}` follows it\n"));
    Ok(Exit::Good)
}
