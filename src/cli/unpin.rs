//! `tsh-agent unpin`.

use super::{Failure, say, which};
use crate::api::client::Client;
use crate::model::names::{App, ReleaseId};
use crate::model::outcome::Exit;

/// Let a pinned release go when its time comes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The release.
    release: ReleaseId,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    client.unpin(&app, args.release).await?;
    say::out(&format!("release {} of {app} is not pinned any more\n", args.release));
    Ok(Exit::Good)
}
