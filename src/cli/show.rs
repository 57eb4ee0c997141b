//! `tsh-agent show`.

use super::{Failure, journal, render, say, say_json, terminal};
use crate::api::client::Client;
use crate::model::names::DeploymentId;
use crate::model::outcome::Exit;

/// Show everything about one deployment.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number.
    id: DeploymentId,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let mut view = Client::connect(None).await?.show(args.id).await?;
    if args.json {
        return say_json(&view);
    }
    journal::complete(&mut view);
    say::out(&render::show::show(&view, &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}
