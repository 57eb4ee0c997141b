//! `tsh-agent approve`.

use super::{Failure, say};
use crate::api::client::Client;
use crate::model::names::DeploymentId;
use crate::model::outcome::Exit;

/// Approve a deployment that waits for it.
///
/// What is approved is the revision with its pending migrations under the settings as they are: if one of them changes, it
/// has to be approved again. `show` has all of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number.
    id: DeploymentId,
    /// Something to remember.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let id = args.id;
    let content = Client::connect(None).await?.decide(id, true, &args.reason).await?;
    say::out(&format!("deployment {id} is approved as {content}; `tsh-agent watch {id}` follows it\n"));
    Ok(Exit::Good)
}
