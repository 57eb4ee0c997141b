//! `tsh-agent pin`.

use super::{Failure, say, which};
use crate::api::client::Client;
use crate::model::names::{App, ReleaseId};
use crate::model::outcome::Exit;

/// Keep a release on this server until `unpin`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The release: the number of the deployment that built it.
    release: ReleaseId,
    /// Why, for those who find it.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    let release = args.release;
    client.pin(&app, release, &args.reason).await?;
    say::out(&format!("release {release} of {app} is kept until `tsh-agent unpin {release}`\n"));
    Ok(Exit::Good)
}
