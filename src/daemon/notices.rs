//! Tells what is in the outbox, one notice after the other, each by a run of its step unit. It looks at nothing but what
//! has happened already, so it can neither change nor delay a deployment. After a crash a notice may be sent twice, and
//! is never lost.

use std::sync::Arc;
use std::time::Duration;

use super::{Daemon, views};
use crate::config::{Channel, Notice, Settings};
use crate::events::Event;
use crate::host::chain;
use crate::host::machine::now;
use crate::model::journal::Cause;
use crate::model::names::NoticeName;
use crate::model::notice::{Delivery, EQUAL, Message, Moment, equal};
use crate::model::outcome::Verdict;
use crate::model::request::{Request, Work};
use crate::model::step::Step;
use crate::store::{Due, StoreError};

/// While something is open it looks this often: the settings may be readable again.
const LOOK: Duration = Duration::from_mins(5);
/// What a service is told at most of a sentence.
const LONGEST: usize = 500;

/// Tells for ever.
pub(super) async fn tell(daemon: Arc<Daemon>) {
    loop {
        let pause = match daemon.tell_due().await {
            Ok(next) => next,
            Err(error) => {
                tracing::error!("notices wait: {}", chain(&error));
                LOOK
            }
        };
        tokio::select! {
            () = daemon.post.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Daemon {
    /// Sends all that is due, and tells how long nothing is.
    async fn tell_due(self: &Arc<Self>) -> Result<Duration, StoreError> {
        let mut open = self.store.due().await?;
        for due in open.iter_mut().filter(|due| due.deliveries.is_empty()) {
            // What is wrong with the settings is told where they are used for more than this.
            let Ok(settings) = crate::config::load(&due.app) else { continue };
            due.deliveries = self.whom(&settings, due).await?;
            self.store.keep_due(due, now()).await?;
        }
        for at in 0..open.len() {
            let Ok(settings) = crate::config::load(&open[at].app) else { continue };
            for place in 0..open[at].deliveries.len() {
                let delivery = &open[at].deliveries[place];
                if !delivery.is_waiting() {
                    continue;
                }
                let name = delivery.notice.clone();
                if is_overtaken(&open, at, &name) {
                    "dropped".clone_into(&mut open[at].deliveries[place].state);
                } else if delivery.due <= now() {
                    self.tell_one(&settings, &mut open[at], place).await?;
                } else {
                    continue;
                }
                self.store.keep_due(&open[at], now()).await?;
            }
        }
        let waiting = open.iter().flat_map(|due| &due.deliveries).filter(|delivery| delivery.is_waiting());
        let next = waiting.map(|delivery| delivery.due - now()).min();
        let next = next.map_or(LOOK, |next| Duration::from_millis(u64::try_from(next).unwrap_or_default()));
        // Where nothing is to be told, whatever comes wakes.
        Ok(if open.is_empty() { Duration::MAX } else { next.min(LOOK) })
    }

    /// Who is to be told of this moment.
    async fn whom(&self, settings: &Settings, due: &Due) -> Result<Vec<Delivery>, StoreError> {
        let Some((row, _)) = self.store.deployment(due.deployment).await? else { return Ok(Vec::new()) };
        let journal = self.store.journal(due.deployment).await?;
        let at_accept = journal.order().is_some_and(|order| order.revision.is_some());
        let nothing_done = due.moment == Moment::Ended(Verdict::Deployed) && !journal.touched(Step::Settle);
        let equals = self.equals(due).await?;
        let wanted = |notice: &&Notice| match notice.channel {
            // A forge has a place for it at the commit, so it is told when that is known, and always of the end.
            Channel::Forge { .. } => row.revision.is_some() && (due.moment != Moment::Accepted || at_accept),
            _ => notice.on.contains(&due.moment) && !nothing_done && equals <= EQUAL,
        };
        let names = settings.notices.all.iter().filter(wanted).map(|notice| notice.name.clone());
        Ok(names.map(|name| Delivery::new(name, now())).collect())
    }

    async fn equals(&self, due: &Due) -> Result<usize, StoreError> {
        let Moment::Ended(verdict) = due.moment else { return Ok(1) };
        let Some((row, _)) = self.store.deployment(due.deployment).await? else { return Ok(1) };
        let before = self.store.ended_before(&due.app, due.deployment, 1 + u32::try_from(EQUAL).unwrap_or(3)).await?;
        Ok(equal(verdict, row.revision.as_ref(), &before))
    }

    /// Tries one.
    async fn tell_one(self: &Arc<Self>, settings: &Settings, due: &mut Due, place: usize) -> Result<(), StoreError> {
        let Some(message) = self.message(due).await? else {
            "dropped".clone_into(&mut due.deliveries[place].state);
            return Ok(());
        };
        let name = due.deliveries[place].notice.clone();
        let work = Work::Notify { notice: name.clone(), message: Box::new(message) };
        let request = Request { deployment: due.deployment, ..Request::alone(work) };
        let told = self.run_alone(settings, &request).await;
        let delivery = &mut due.deliveries[place];
        let (app, id, moment) = (&due.app, due.deployment, due.moment.word());
        let Err(Cause { what: problem, .. }) = told else {
            delivery.sent();
            return Ok(());
        };
        let give_up = i64::try_from(settings.notices.give_up.as_millis()).unwrap_or(i64::MAX);
        delivery.failed(problem.clone(), now(), due.at, give_up);
        // Once at the beginning and once at the end: an error that repeats is no news.
        if !delivery.is_waiting() {
            tracing::error!(
                tsh_app = %app, tsh_deployment = id.0, message_id = Event::NoticeGivenUp.id(),
                "{name} was not told that deployment {id} of {app} is {moment}, and will not be: {problem}"
            );
        } else if delivery.tries == 1 {
            tracing::warn!(tsh_app = %app, tsh_deployment = id.0, "{name} could not be told yet: {problem}");
        }
        Ok(())
    }

    /// What is said, from the same journal as every screen.
    async fn message(&self, due: &Due) -> Result<Option<Message>, StoreError> {
        let Some((row, wanted)) = self.store.deployment(due.deployment).await? else { return Ok(None) };
        let mut journal = self.store.journal(due.deployment).await?;
        // As it was at that moment, however much later it is told.
        let end = journal.0.iter().rposition(|entry| entry.at <= due.at).map_or(0, |at| at + 1);
        journal.0.truncate(end);
        let mut view = views::deployment(row, wanted, &journal);
        let ended = matches!(due.moment, Moment::Ended(_));
        if ended {
            self.tell_what_serves(&mut view).await;
        }
        let short = |text: String| text.chars().take(LONGEST).collect::<String>();
        let failure = view.failure.filter(|_| ended);
        Ok(Some(Message {
            moment: due.moment,
            kind: view.kind,
            revision: view.revision,
            subject: view.subject,
            release: view.release,
            from: view.from,
            by: view.by,
            at: due.at,
            took: ended.then_some(due.at - view.accepted),
            step: failure.as_ref().map(|failure| failure.step),
            cause: failure.map(|failure| short(failure.cause.what)),
            serving: ended.then(|| short(view.serving)),
            note: view.note.filter(|_| ended).map(short),
            last_equal: self.equals(due).await? == EQUAL,
        }))
    }
}

/// Whether the same notice has something newer to tell about the same deployment: an old state must not come after it.
fn is_overtaken(open: &[Due], at: usize, name: &NoticeName) -> bool {
    let tells = |due: &Due| due.deliveries.iter().any(|delivery| delivery.notice == *name && delivery.is_waiting());
    open[at + 1..].iter().any(|due| due.deployment == open[at].deployment && tells(due))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::DeploymentId;

    #[test]
    fn an_old_state_does_not_come_after_a_newer_one() {
        let due = |deployment: u32, moment, names: &[&str]| Due {
            id: 1,
            app: "erp".parse().unwrap(),
            deployment: DeploymentId(deployment),
            moment,
            at: 0,
            deliveries: names.iter().map(|name| Delivery::new(name.parse().unwrap(), 0)).collect(),
        };
        let end = Moment::Ended(Verdict::Deployed);
        let mut open = [due(1, Moment::Fetched, &["chat", "forge"]), due(2, end, &["chat"]), due(1, end, &["forge"])];
        let overtaken = |open: &[Due], at: usize, name: &str| is_overtaken(open, at, &name.parse().unwrap());
        assert!(overtaken(&open, 0, "forge"));
        assert!(!overtaken(&open, 0, "chat"), "that one is about another deployment");
        assert!(!overtaken(&open, 2, "forge"));
        open[2].deliveries[0].sent();
        assert!(!overtaken(&open, 0, "forge"));
    }
}
