//! `tsh-agent push-hint`.

use super::{Failure, say};
use crate::api::client::Client;
use crate::model::names::App;
use crate::model::outcome::Exit;
use crate::model::push::Hint;

/// Say that something may have been pushed, for hooks/post-receive of a repository on this server.
///
/// It returns when the agent will not forget it. The agent then asks the remote, and deploys what is new there.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application.
    app: App,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let id = Client::connect(None).await?.push(&args.app, &Hint::default()).await?;
    say::out(&format!("push {id} of {} is noted; `tsh-agent status` shows what comes of it\n", args.app));
    Ok(Exit::Good)
}
