//! `tsh-agent lock`.

use super::{Failure, say, which};
use crate::api::client::Client;
use crate::model::gates::HoldKind;
use crate::model::names::App;
use crate::model::outcome::Exit;

/// Lock the application: nothing is deployed until `unlock`.
///
/// It outlives a reboot. What is ordered meanwhile waits; going back stays possible.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Why, for those who find it.
    #[arg(short, long = "message", value_name = "TEXT")]
    message: String,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    client.hold(&app, HoldKind::Lock, None, &args.message).await?;
    say::out(&format!("{app} is locked; `tsh-agent unlock` takes it back\n"));
    Ok(Exit::Good)
}
