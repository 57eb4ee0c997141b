//! How a deployment waits for its gates: until a moment, or until somebody does something.

use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::machine::{Machine, now};
use crate::deploy::world::Woken;
use crate::model::care::Part;

/// The longest time without a look at the clock on the wall, while something is waited for.
const NAP: Duration = Duration::from_secs(20);
/// How often it is looked whether a backup has ended.
const BACKUP: Duration = Duration::from_secs(1);

/// What somebody does to a deployment that waits for its gates.
#[derive(Debug)]
pub enum Wake {
    /// A gate may have changed its mind: ask them again.
    Look,
    /// A newer order came from this one, which waits until the sender is dropped: then the deployment has ended. Who has
    /// given up waiting is not obeyed any more.
    Supersede(String, oneshot::Sender<()>),
}

impl Machine<'_> {
    /// Rests; and when it would go on, lets a backup end that began meanwhile: it reads what is about to be changed.
    pub(super) async fn rest_until(&mut self, until: Option<i64>) -> Woken {
        let woken = self.nap(until).await;
        while woken == Woken::Look && !self.abort_wanted() && self.is_backed_up().await {
            tokio::time::sleep(BACKUP).await;
        }
        woken
    }

    /// Until it is time, or somebody does something.
    async fn nap(&mut self, until: Option<i64>) -> Woken {
        loop {
            let left = until.map(|until| u64::try_from(until - now()).unwrap_or_default());
            // The clock on the wall may be set meanwhile, and the one that sleeps does not hear of it.
            let nap = left.map_or(NAP, |left| NAP.min(Duration::from_millis(left)));
            if nap.is_zero() {
                return Woken::Look;
            }
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                Ok(()) = wanted(&self.abort), if !self.abort_noted => return Woken::Look,
                Some(wake) = self.wake.recv() => match wake {
                    Wake::Look => return Woken::Look,
                    Wake::Supersede(_, asker) if asker.is_closed() => {}
                    Wake::Supersede(by, asker) => {
                        self.superseded_by = Some(asker);
                        return Woken::Superseded(by);
                    }
                },
            }
        }
    }

    /// Whether somebody asked to abort; it is noted elsewhere.
    fn abort_wanted(&self) -> bool {
        self.abort.has_changed().unwrap_or(false)
    }

    /// Whether a backup is being written, or deleted.
    async fn is_backed_up(&self) -> bool {
        let open = self.store.open_cares().await.unwrap_or_default();
        open.iter().any(|care| care.app == self.settings.app && care.care.next().is_some_and(Part::is_exclusive))
    }
}

/// Returns when somebody has asked to abort; an error means that nobody can any more.
pub(super) async fn wanted(abort: &watch::Receiver<Option<String>>) -> Result<(), watch::error::RecvError> {
    abort.clone().wait_for(Option::is_some).await.map(|_| ())
}
