//! `tsh-agent diff`.

use super::{Failure, render, say, say_json, terminal, which};
use crate::api::client::Client;
use crate::model::names::{App, Wanted};
use crate::model::outcome::Exit;

/// Show how two deployments, releases or revisions differ
///
/// Commits, packages and migrations, read out of the repository.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The number of a deployment or of a release, or a branch, tag or commit.
    from: Wanted,
    /// What it is compared with, likewise.
    to: Wanted,
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
    let view = client.diff(&app, &args.from, &args.to).await?;
    if args.json {
        return say_json(&view);
    }
    say::out(&render::diff::diff(&view, &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}
