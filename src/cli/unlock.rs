//! `tsh-agent unlock`.

use super::{Failure, say, which};
use crate::api::client::Client;
use crate::model::gates::HoldKind;
use crate::model::names::App;
use crate::model::outcome::Exit;

/// Take the lock away.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    client.lift(&app, HoldKind::Lock).await?;
    say::out(&format!("{app} is not locked any more\n"));
    Ok(Exit::Good)
}
