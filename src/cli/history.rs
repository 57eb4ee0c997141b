//! `tsh-agent history`.

use super::{Failure, render, say, say_json, terminal};
use crate::api::client::Client;
use crate::model::names::App;
use crate::model::outcome::Exit;

/// List the last deployments, newest first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only of this application.
    #[arg(long)]
    app: Option<App>,
    /// How many.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "COUNT")]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let rows = Client::connect(None).await?.history(args.app.as_ref(), args.limit).await?;
    if args.json {
        return say_json(&rows);
    }
    say::out(&render::history::history(&rows, &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}
