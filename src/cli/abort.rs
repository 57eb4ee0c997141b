//! `tsh-agent abort`.

use super::{Failure, say};
use crate::api::client::Client;
use crate::model::names::DeploymentId;
use crate::model::outcome::Exit;

/// Stop a running deployment, and undo what it did.
///
/// Possible until the new release is open to traffic. If undoing failed and the deployment needs an operator, this tries
/// it again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number.
    id: DeploymentId,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let id = args.id;
    let client = Client::connect(None).await?;
    let before = client.show(id).await?.verdict;
    client.abort(id).await?;
    let what = match before {
        Some(_) => format!("the rollback of deployment {id} is tried again"),
        None => format!("deployment {id} stops and is undone"),
    };
    say::out(&format!("{what}; `tsh-agent watch {id}` follows it\n"));
    Ok(Exit::Good)
}
