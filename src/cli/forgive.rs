//! `tsh-agent forgive`.

use super::{Failure, say, which};
use crate::api::client::Client;
use crate::model::names::App;
use crate::model::outcome::Exit;

/// Let triggers try a revision again that failed here.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The revision, or the beginning of it.
    revision: String,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    let revision = client.forgive(&app, &args.revision).await?;
    say::out(&format!("triggers may deploy {revision} again; `tsh-agent push-hint {app}` has the remote asked now\n"));
    Ok(Exit::Good)
}
