//! `tsh-agent deploy`.

use super::follow::Session;
use super::{Failure, say, which};
use crate::model::names::{App, DeploymentId, Wanted};
use crate::model::outcome::Exit;

/// Deploy a revision, and watch until it is live and verified.
///
/// Whatever fails is undone. The deployment goes on if this terminal goes away or is left with Ctrl-C:
/// `watch` comes back to it, `abort` stops it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Branch, tag or commit; the configured branch if none is named.
    revision: Option<Wanted>,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Deploy it again even if it is live already.
    #[arg(long)]
    force: bool,
    /// Do not watch. Exit code 0 then only means that the deployment was accepted.
    #[arg(long, conflicts_with = "verbose")]
    detach: bool,
    /// Show what the steps say.
    #[arg(short, long)]
    verbose: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let session = Session::open().await?;
    let app = which::app(&session.client, args.app).await?;
    let id = session.client.deploy(&app, args.revision.as_ref(), args.force).await?;
    if args.detach {
        return Ok(accepted(id));
    }
    session.follow(id, args.verbose).await
}

/// The answer to somebody who does not want to watch.
pub fn accepted(id: DeploymentId) -> Exit {
    say::out(&format!("accepted as deployment {id}; `tsh-agent watch {id}` follows it\n"));
    Exit::Good
}
