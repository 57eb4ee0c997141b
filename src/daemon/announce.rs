//! Each entry of a journal is told three times: to the system's journal, to whoever watches on the bus, and in the
//! status of the service.

use tokio::sync::mpsc;

use super::News;
use crate::events::Event;
use crate::host::notify;
use crate::model::journal::{Fact, Output, Restored};
use crate::model::names::{App, DeploymentId};
use crate::model::step::Step;

/// Tells until nobody writes any more.
pub async fn announce(bus: zbus::Connection, mut heard: mpsc::UnboundedReceiver<News>) {
    while let Some((app, id, fact)) = heard.recv().await {
        log(&app, id, &fact);
        let state = word(&fact);
        notify::status(&match &fact {
            Fact::Ended { verdict, .. } => format!("ready; {app} deployment {id} {}", verdict.word()),
            _ => format!("{app} deployment {id}: {state}"),
        });
        if let Err(error) = crate::api::changed(&bus, &app, id, &state).await {
            tracing::warn!("nobody could be told of {app} deployment {id}: {error}");
        }
    }
}

/// A word of state for the signal: everybody may read it.
fn word(fact: &Fact) -> String {
    match fact {
        Fact::Accepted(_) => "accepted".to_owned(),
        Fact::Intent { step, .. } => step.word().to_owned(),
        Fact::Done { step, .. } => format!("{} done", step.word()),
        Fact::Failed { step, .. } => format!("{} failed", step.word()),
        Fact::Void { step } => format!("{} void", step.word()),
        Fact::Resumed => "resumed".to_owned(),
        Fact::AbortAsked { .. } => "aborting".to_owned(),
        Fact::Retried { .. } => "retried".to_owned(),
        Fact::Ended { verdict, .. } => verdict.word().to_owned(),
    }
}

/// Logs with the fields that find it again, and with a message id where the catalogue explains it.
macro_rules! tell {
    ($level:ident, $app:expr, $id:expr, $step:expr, $event:expr, $($text:tt)+) => {
        match $event {
            Some(event) => tracing::$level!(tsh_app = %$app, tsh_deployment = $id.0, tsh_step = $step.map(Step::word).unwrap_or(""), message_id = Event::id(event), $($text)+),
            None => tracing::$level!(tsh_app = %$app, tsh_deployment = $id.0, tsh_step = $step.map(Step::word).unwrap_or(""), $($text)+),
        }
    };
}

fn log(app: &App, id: DeploymentId, fact: &Fact) {
    let none: Option<Event> = None;
    match fact {
        Fact::Accepted(order) => {
            tell!(
                info,
                app,
                id,
                None::<Step>,
                Some(Event::Accepted),
                "deployment {id} of {app} accepted from {}",
                order.by
            );
        }
        Fact::Intent { step, .. } => tell!(info, app, id, Some(*step), none, "step {} begins", step.word()),
        Fact::Done { step, out } => {
            tell!(info, app, id, Some(*step), event(*step, out), "step {} is done", step.word())
        }
        Fact::Failed { step, cause } => {
            tell!(error, app, id, Some(*step), Some(Event::StepFailed), "step {} failed: {}", step.word(), cause.what);
        }
        Fact::Void { step } => tell!(info, app, id, Some(*step), none, "step {} had no effect", step.word()),
        Fact::Resumed => tell!(warn, app, id, None::<Step>, none, "deployment {id} of {app} goes on"),
        Fact::AbortAsked { by } => tell!(warn, app, id, None::<Step>, none, "{by} asked to abort deployment {id}"),
        Fact::Retried { by } => tell!(warn, app, id, None::<Step>, none, "{by} asked to try the rollback again"),
        Fact::Ended { verdict, note } => {
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            let text = format!("deployment {id} of {app} {}{note}", verdict.word());
            if verdict.exit() == crate::model::outcome::Exit::Good {
                tell!(info, app, id, None::<Step>, Some(Event::from(*verdict)), "{text}");
            } else {
                tell!(error, app, id, None::<Step>, Some(Event::from(*verdict)), "{text}");
            }
        }
    }
}

fn event(step: Step, out: &Output) -> Option<Event> {
    match (step, out) {
        (Step::Close, _) => Some(Event::DoorClosed),
        (Step::Open | Step::Reopen, _) => Some(Event::DoorOpened),
        (_, Output::Restored(Restored::SwappedBack { .. })) => Some(Event::DatabaseSwappedBack),
        _ => None,
    }
}
