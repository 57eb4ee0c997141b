//! The step unit that measures what users feel. It runs beside the steps of a deployment, until its request is gone.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use super::files;
use super::machine::Machine;
use crate::deploy::world::{Act, StepNow, World};
use crate::model::journal::{Felt, Output};
use crate::model::names::{DeploymentId, ReleaseId};
use crate::model::request::{Report, Request, Work};
use crate::paths;

const KIND: &str = "gauge";
/// The last answers may be slow; nobody waits longer for a number.
const END: Duration = Duration::from_secs(12);

/// Begins; what goes wrong costs a number, and no deployment.
pub async fn begin(machine: &mut Machine<'_>, id: DeploymentId) {
    // Who is kept out for maintenance feels nothing of a deployment; what he meets is not its downtime.
    if machine.settings.probe.users().is_none() || files::in_maintenance(&machine.settings.app) {
        return;
    }
    let begun: Act<()> = async {
        let after = machine.clear_step(KIND).await?;
        machine.begin_step(KIND, &Request { deployment: id, release: ReleaseId(0), work: Work::Gauge { after } }).await
    }
    .await;
    if let Err(cause) = begun {
        tracing::warn!(tsh_app = %machine.settings.app, "what users feel is not measured: {}", cause.what);
    }
}

/// Ends it, and reads what it says.
pub async fn end(machine: &mut Machine<'_>) -> Option<Felt> {
    let request = paths::request(&machine.settings.app, KIND);
    let asked: Request = serde_json::from_slice(&std::fs::read(&request).ok()?).ok()?;
    std::fs::remove_file(&request).ok()?;
    let Work::Gauge { after } = asked.work else { return None };
    let unit = machine.unit_of(KIND);
    let deadline = Instant::now() + END;
    let mut changes = machine.systemd.changes().await.ok()?;
    loop {
        let state = machine.systemd.state(&unit).await.ok()?;
        match machine.step_now(KIND, &after, &state) {
            StepNow::Ended(_, report) => {
                return match *report {
                    Report::Done(Output::Felt(felt)) => Some(felt),
                    _ => None,
                };
            }
            StepNow::Running(_) if Instant::now() < deadline => {}
            StepNow::Running(_) | StepNow::Idle => return None,
        }
        tokio::select! {
            _ = changes.next() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
}
