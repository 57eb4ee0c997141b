//! `tsh-agent deploy`.

use super::follow::Session;
use super::{Failure, say, which};
use crate::model::gates::{Gate, Override};
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
    /// Pass this gate whatever it answers; with a --reason each, which is put on record.
    #[arg(long = "override", value_name = "GATE", requires = "reason")]
    gates: Vec<Gate>,
    /// Why the gate is passed.
    #[arg(long, value_name = "TEXT", requires = "gates")]
    reason: Vec<String>,
    /// Do not watch. Exit code 0 then only means that the deployment was accepted.
    #[arg(long, conflicts_with = "verbose")]
    detach: bool,
    /// Show what the steps say.
    #[arg(short, long)]
    verbose: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let overrides = overrides(args.gates, args.reason)?;
    let session = Session::open().await?;
    let app = which::app(&session.client, args.app).await?;
    let id = session.client.deploy(&app, args.revision.as_ref(), args.force, &overrides).await?;
    if args.detach {
        return Ok(accepted(id));
    }
    session.follow(id, args.verbose).await
}

/// Each gate with its reason, or all of them with the only one.
fn overrides(gates: Vec<Gate>, mut reasons: Vec<String>) -> Result<Vec<Override>, Failure> {
    if let [only] = reasons.as_slice() {
        reasons = vec![only.clone(); gates.len()];
    }
    if gates.len() != reasons.len() {
        let what = format!("{} gates are to be passed, for {} reasons", gates.len(), reasons.len());
        return Err(Failure::new(Exit::Usage, what).hint("give each --override its --reason, or one for all"));
    }
    Ok(gates.into_iter().zip(reasons).map(|(gate, reason)| Override { gate, reason }).collect())
}

/// The answer to somebody who does not want to watch.
pub fn accepted(id: DeploymentId) -> Exit {
    say::out(&format!("accepted as deployment {id}; `tsh-agent watch {id}` follows it\n"));
    Exit::Good
}
