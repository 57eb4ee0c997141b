//! `tsh-agent plan`.

use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::Client;
use crate::model::names::{App, Wanted};
use crate::model::outcome::Exit;

/// Show what a deployment would do. Changes nothing
///
/// The repository is asked; nothing is built, and nothing of the revision is run. What could only be known by that is
/// said to be unknown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Branch, tag or commit; the configured branch if none is named.
    revision: Option<Wanted>,
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
    let view = client.plan(&app, args.revision.as_ref()).await?;
    if args.json {
        return say_json(&view);
    }
    say::out(&render::plan::plan(&view, &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}
