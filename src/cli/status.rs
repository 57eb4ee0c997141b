//! `tsh-agent status`.

use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::Client;
use crate::model::names::App;
use crate::model::outcome::Exit;

/// Show what is live now, and whether it is well.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    let app = which::app(&client, args.app).await?;
    let view = client.status(&app).await?;
    if args.json {
        return say_json(&view);
    }
    say::out(&render::status::status(&view, &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}
