//! Each entry of a journal is told three times: to the system's journal, to whoever watches on the bus, and in the
//! status of the service.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Daemon, News};
use crate::events::Event;
use crate::host::notify;
use crate::model::gates::{Judgement, Ruling};
use crate::model::journal::{Fact, Journal, Output, Restored};
use crate::model::machine;
use crate::model::names::{App, DeploymentId, ReleaseId};
use crate::model::notice::Moment;
use crate::model::outcome::Verdict;
use crate::model::step::Step;

/// Tells for as long as the core lives.
pub(super) async fn announce(daemon: Arc<Daemon>, bus: zbus::Connection, mut heard: mpsc::UnboundedReceiver<News>) {
    while let Some((app, id, fact)) = heard.recv().await {
        daemon.anchors.write().await;
        // Without it the line has fewer fields, and is written all the same.
        let journal = daemon.store.journal(id).await.unwrap_or_default();
        log(&About::new(app.clone(), id, &journal, &fact), &fact);
        daemon.changes.send_replace(());
        let state = word(&fact);
        notify::status(&match &fact {
            Fact::Ended { verdict, .. } => format!("ready; {app} deployment {id} {}", verdict.word()),
            _ => format!("{app} deployment {id}: {state}"),
        });
        if let Err(error) = crate::api::changed(&bus, &app, id, &state).await {
            tracing::warn!("nobody could be told of {app} deployment {id}: {error}");
        }
        daemon.post.notify_one();
        if matches!(&fact, Fact::Done { out: Output::Judged(judgement), .. } if waits(judgement)) {
            // It makes way for a push that came while it ran.
            daemon.wake.notify_one();
        }
    }
}

/// A word of state for the signal: everybody may read it.
fn word(fact: &Fact) -> String {
    match fact {
        Fact::Accepted(_) => "accepted".to_owned(),
        Fact::Intent { step, .. } => step.word().to_owned(),
        Fact::Done { out: Output::Judged(judgement), .. } if waits(judgement) => "waiting".to_owned(),
        Fact::Done { step, .. } => format!("{} done", step.word()),
        Fact::Failed { step, .. } => format!("{} failed", step.word()),
        Fact::Void { step } => format!("{} void", step.word()),
        Fact::Resumed => "resumed".to_owned(),
        Fact::AbortAsked { .. } => "aborting".to_owned(),
        Fact::Superseded { .. } => "superseded".to_owned(),
        Fact::Retried { .. } => "retried".to_owned(),
        Fact::Felt(_) => "measured".to_owned(),
        Fact::Ended { verdict, .. } => verdict.word().to_owned(),
    }
}

/// The fields that find a line again.
#[derive(Debug, PartialEq, Eq)]
struct About {
    app: App,
    id: DeploymentId,
    /// The step, or at the end the one that made it fail; empty where there is none.
    step: &'static str,
    /// The release the line is about: the new one, or the old one once it is gone back to.
    release: String,
}

impl About {
    fn new(app: App, id: DeploymentId, journal: &Journal, fact: &Fact) -> Self {
        let failed = || {
            journal.0.iter().find_map(|entry| match &entry.fact {
                Fact::Failed { step, .. } if !step.is_back() && !step.is_optional() => Some(*step),
                _ => None,
            })
        };
        let step = match fact {
            Fact::Ended { verdict: Verdict::Deployed, .. } => None,
            Fact::Ended { .. } => failed(),
            other => other.step(),
        };
        let old = match fact {
            Fact::Ended { verdict, .. } => *verdict != Verdict::Deployed || !journal.touched(Step::Settle),
            other => other.step().is_some_and(Step::is_back),
        };
        let from = journal.order().and_then(|order| order.from);
        let release = if old { from } else { Some(machine::release(journal, ReleaseId(id.0))) };
        let release = release.map_or_else(|| "none".to_owned(), |release| release.to_string());
        Self { app, id, step: step.map_or("", Step::word), release }
    }
}

/// Logs with these fields, and with a message id where the catalogue explains it.
macro_rules! tell {
    ($level:ident, $about:expr, $event:expr, $($text:tt)+) => {
        match $event {
            Some(event) => tracing::$level!(
                tsh_app = %$about.app, tsh_deployment = $about.id.0, tsh_step = $about.step,
                tsh_release = $about.release, message_id = Event::id(event), $($text)+
            ),
            None => tracing::$level!(
                tsh_app = %$about.app, tsh_deployment = $about.id.0, tsh_step = $about.step,
                tsh_release = $about.release, $($text)+
            ),
        }
    };
}

fn log(about: &About, fact: &Fact) {
    let none: Option<Event> = None;
    let (app, id) = (&about.app, about.id);
    match fact {
        Fact::Accepted(order) => {
            tell!(info, about, Some(Event::Accepted), "{}", Moment::Accepted.sentence(id, app, &order.by));
        }
        Fact::Intent { step, .. } => tell!(info, about, none, "step {} begins", step.word()),
        Fact::Done { out: Output::Judged(judgement), .. } if waits(judgement) => {
            tell!(info, about, Some(Event::Waiting), "deployment {id} of {app} waits: {}", judgement.words());
        }
        Fact::Done { step, out } => tell!(info, about, event(*step, out), "step {} is done", step.word()),
        Fact::Failed { step, cause } => {
            tell!(error, about, Some(Event::StepFailed), "step {} failed: {}", step.word(), cause.what);
        }
        Fact::Void { step } => tell!(info, about, none, "step {} had no effect", step.word()),
        Fact::Resumed => tell!(warn, about, none, "deployment {id} of {app} goes on"),
        Fact::AbortAsked { by } => tell!(warn, about, none, "{by} asked to abort deployment {id}"),
        Fact::Superseded { by } => tell!(warn, about, none, "a newer order came from {by}"),
        Fact::Retried { by } => tell!(warn, about, none, "{by} asked to try the rollback again"),
        Fact::Felt(felt) => {
            let (down, slowest) = (felt.down_ms, felt.slowest_ms);
            tell!(info, about, none, "users felt {down} ms of downtime; their slowest answer took {slowest} ms");
        }
        Fact::Ended { verdict, note } => {
            let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
            let text = Moment::Ended(*verdict).sentence(id, app, "") + &note;
            if verdict.exit() == crate::model::outcome::Exit::Good {
                tell!(info, about, Some(Event::from(*verdict)), "{text}");
            } else {
                tell!(error, about, Some(Event::from(*verdict)), "{text}");
            }
        }
    }
}

fn waits(judgement: &Judgement) -> bool {
    matches!(judgement.ruling(), Ruling::Wait(_))
}

fn event(step: Step, out: &Output) -> Option<Event> {
    match (step, out) {
        (Step::Close, _) => Some(Event::DoorClosed),
        (Step::Open | Step::Reopen, _) => Some(Event::DoorOpened),
        (_, Output::Swapped { .. }) => Some(Event::BackupRestored),
        (_, Output::Restored(Restored::SwappedBack { .. } | Restored::Reverted { .. })) => {
            Some(Event::DatabaseSwappedBack)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::{Before, Cause, Entry, Goal, Order};
    use crate::model::trigger::Trigger;

    fn about(facts: &[Fact]) -> (&'static str, String) {
        let entry = |fact: &Fact| Entry { at: 0, boot: "b".to_owned(), fact: fact.clone() };
        let journal = Journal(facts.iter().map(entry).collect());
        let about = About::new("erp".parse().unwrap(), DeploymentId(7), &journal, facts.last().unwrap());
        (about.step, about.release)
    }

    #[test]
    fn a_line_names_the_release_it_is_about() {
        let accepted = Fact::Accepted(Order {
            goal: Goal::Revision(None),
            from: Some(ReleaseId(3)),
            from_revision: None,
            revision: None,
            by: "root".to_owned(),
            force: false,
            slots: false,
            overrides: Vec::new(),
            who: Default::default(),
            trigger: Trigger::Person,
        });
        let intent = |step| Fact::Intent { step, before: Before::Nothing };
        let ended = |verdict| Fact::Ended { verdict, note: None };
        let failed = Fact::Failed { step: Step::Probe, cause: Cause::new("no") };
        assert_eq!(about(std::slice::from_ref(&accepted)), ("", "7".to_owned()));
        assert_eq!(about(&[accepted.clone(), intent(Step::Probe)]), ("probe", "7".to_owned()));
        assert_eq!(about(&[accepted.clone(), intent(Step::Reopen)]), ("reopen", "3".to_owned()));
        let back = [accepted.clone(), failed, ended(Verdict::RolledBack)];
        assert_eq!(about(&back), ("probe", "3".to_owned()));
        let good = [accepted.clone(), intent(Step::Settle), ended(Verdict::Deployed)];
        assert_eq!(about(&good), ("", "7".to_owned()));
        assert_eq!(about(&[accepted, ended(Verdict::Deployed)]), ("", "3".to_owned()), "it was live already");
    }
}
