//! How many may be saying something at once. When one more comes, the one that has been talking longest must go: whoever
//! is slow on purpose keeps out nobody who is not.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Each may hold a body of the largest size, so this bounds the memory.
const MOST: usize = 32;

/// Those whose requests are being read, oldest first.
#[derive(Default)]
pub struct Crowd(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    inside: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A place in it.
pub struct Place {
    /// Its number.
    pub id: u64,
    /// Ready when it is over: `Ok` if the request was read, `Err` if somebody else needs the place.
    pub over: oneshot::Receiver<()>,
}

impl Crowd {
    /// Takes a place, if need be the oldest one's.
    pub fn enter(&self) -> Place {
        let (sender, over) = oneshot::channel();
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        if state.inside.len() >= MOST {
            state.inside.pop_front();
        }
        state.inside.push_back((id, sender));
        Place { id, over }
    }

    /// The request was read, or its connection is gone.
    pub fn leave(&self, id: u64) {
        let mut state = self.state();
        if let Some(at) = state.inside.iter().position(|(inside, _)| *inside == id)
            && let Some((_, sender)) = state.inside.remove(at)
        {
            // Its connection may be gone.
            let _ = sender.send(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_gives_way_and_who_was_read_does_not() {
        let crowd = Crowd::default();
        let first = crowd.enter();
        let mut second = crowd.enter();
        crowd.leave(first.id);
        assert!(first.over.await.is_ok());
        let _rest: Vec<Place> = (0..MOST - 1).map(|_| crowd.enter()).collect();
        assert!(second.over.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        let last = crowd.enter();
        assert!(second.over.await.is_err(), "the oldest that is still there");
        crowd.leave(last.id);
        assert!(last.over.await.is_ok());
    }
}
