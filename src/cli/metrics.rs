//! `tsh-agent metrics`.

use std::os::fd::AsFd;

use super::{Failure, say, say_json};
use crate::api::client::Client;
use crate::logging::{self, Logger};
use crate::model::metrics::{self, Format};
use crate::model::outcome::Exit;
use crate::scrape;

/// Print numbers for a monitoring system, in OpenMetrics.
///
/// The same are told to who asks on /run/tsh-metrics.sock, and are in /run/tsh-agent/metrics.prom, in the text format of
/// Prometheus.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    #[command(hide = true)]
    Answer,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    if let Some(Verb::Answer) = args.verb {
        return answer().await;
    }
    let view = Client::connect(None).await?.metrics().await?;
    if args.json {
        return say_json(&view);
    }
    say::out(&metrics::text(&view, Format::OpenMetrics));
    Ok(Exit::Good)
}

/// The service: the connection is its standard input.
async fn answer() -> Result<Exit, Failure> {
    logging::init(Logger::Service);
    let stream = std::io::stdin().as_fd().try_clone_to_owned().and_then(|connection| {
        let stream = std::os::unix::net::UnixStream::from(connection);
        stream.set_nonblocking(true)?;
        tokio::net::UnixStream::from_std(stream)
    });
    let stream = stream
        .map_err(|error| Failure::new(Exit::Untouched, format!("standard input is not a connection: {error}")))?;
    scrape::answer(stream).await;
    Ok(Exit::Good)
}
