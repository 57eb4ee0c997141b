//! `tsh-agent metrics`.

use super::{Failure, say, say_json};
use crate::api::client::Client;
use crate::model::metrics::{self, Format};
use crate::model::outcome::Exit;

/// Print numbers for a monitoring system, in OpenMetrics.
///
/// The same are in /run/tsh-agent/metrics.prom, in the text format of Prometheus.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let view = Client::connect(None).await?.metrics().await?;
    if args.json {
        return say_json(&view);
    }
    say::out(&metrics::text(&view, Format::OpenMetrics));
    Ok(Exit::Good)
}
