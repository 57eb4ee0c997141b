//! `tsh-agent logs`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::Failure;
use super::journal::terms;
use crate::api::client::Client;
use crate::model::names::DeploymentId;
use crate::model::outcome::Exit;
use crate::model::view::DeploymentView;

/// Show the journal of one deployment: the agent, its steps, and the application as it started it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its number.
    id: DeploymentId,
    /// Go on with what is written from now on.
    #[arg(short, long)]
    follow: bool,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let view = Client::connect(None).await?.show(args.id).await?;
    // From here on this process is journalctl; only a failure comes back.
    let error = Command::new("journalctl").args(arguments(&view, args.follow)).exec();
    Err(Failure::new(Exit::Untouched, format!("journalctl cannot be started: {error}")))
}

/// Everything with the deployment's number, everything of the runs that it started, and what systemd says of its units
/// meanwhile: an application has one deployment at a time.
fn arguments(view: &DeploymentView, follow: bool) -> Vec<String> {
    let mut out = vec![format!("--since=@{}", view.accepted / 1000 - 1)];
    match view.ended {
        // The application runs on after the deployment, and what it says then is not the deployment's.
        Some(ended) if !follow => out.push(format!("--until=@{}", ended / 1000 + 2)),
        _ if follow => out.push("--follow".to_owned()),
        _ => {}
    }
    out.push(format!("TSH_DEPLOYMENT={}", view.id));
    let mut units: Vec<String> = view
        .steps
        .iter()
        .filter_map(|step| Some(format!("tsh-agent-{}@{}.service", step.step.unit_kind()?, view.app)))
        .chain(view.runs.iter().map(|run| run.unit.clone()))
        .collect();
    units.sort();
    units.dedup();
    for unit in units {
        // Only systemd can say this; a unit's own lines have another field, and the old release's are not wanted.
        out.extend(["+".to_owned(), "_PID=1".to_owned(), format!("UNIT={unit}")]);
    }
    for run in view.runs.iter().filter(|run| !run.invocation.is_empty()) {
        out.push("+".to_owned());
        out.extend(terms(&run.invocation));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::render::fixtures;
    use super::*;

    #[test]
    fn journalctl_is_asked_for_every_run_of_the_deployment() {
        let mut view = fixtures::rolled_back();
        view.steps.truncate(2);
        insta::assert_snapshot!(arguments(&view, false).join("\n"), @"
        --since=@1795266160
        --until=@1795266213
        TSH_DEPLOYMENT=42
        +
        _PID=1
        UNIT=tsh-agent-build@tsh-erp.service
        +
        _PID=1
        UNIT=tsh-agent-fetch@tsh-erp.service
        +
        _PID=1
        UNIT=tsh-agent-probe@tsh-erp.service
        +
        _PID=1
        UNIT=tsh-erp.service
        +
        _PID=1
        UNIT=tsh-erp.timer
        +
        _SYSTEMD_INVOCATION_ID=77aa
        +
        INVOCATION_ID=77aa
        +
        _SYSTEMD_INVOCATION_ID=0a1b
        +
        INVOCATION_ID=0a1b
        ");
        assert!(arguments(&view, true).contains(&"--follow".to_owned()));
    }
}
