//! `tsh-agent recover`: once at boot, before the applications start.

use super::Failure;
use crate::daemon;
use crate::host::chain;
use crate::logging::{self, Logger};
use crate::model::outcome::Exit;

/// Settle the links at boot; systemd starts it as tsh-agent-recover.service.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Settles the links of every application.
pub async fn run(_: Args) -> Result<Exit, Failure> {
    logging::init(Logger::Service);
    match daemon::recover().await {
        Ok(()) => Ok(Exit::Good),
        Err(error) => {
            tracing::error!("nothing was changed at boot: {}", chain(&error));
            Err(Failure::new(Exit::NeedsOperator, chain(&error)))
        }
    }
}
