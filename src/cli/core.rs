//! `tsh-agent core`: the service itself.

use super::Failure;
use crate::daemon;
use crate::host::chain;
use crate::logging::{self, Logger};
use crate::model::outcome::Exit;

/// Run the agent; systemd starts it as tsh-agent.service.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the core until it is told to stop.
pub async fn run(_: Args) -> Result<Exit, Failure> {
    logging::init(Logger::Service);
    match daemon::run().await {
        Ok(()) => Ok(Exit::Good),
        Err(error) => {
            tracing::error!("{}", chain(&error));
            Err(Failure::new(Exit::NeedsOperator, chain(&error)))
        }
    }
}
