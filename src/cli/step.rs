//! `tsh-agent step <kind> <app>`: what a step unit runs.

use super::Failure;
use crate::model::names::App;
use crate::model::outcome::Exit;

/// Run one step; systemd starts it as tsh-agent-<kind>@<app>.service.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The kind of step.
    kind: String,
    /// The application.
    app: App,
}

/// Runs the step, which says itself what came of it.
pub async fn run(args: Args) -> Result<Exit, Failure> {
    Ok(match crate::steps::run(&args.kind, &args.app).await {
        0 => Exit::Good,
        2 => Exit::Usage,
        _ => Exit::Untouched,
    })
}
