//! The head of the audit goes into the system's journal with each entry: a file of another user, in which the core can
//! take nothing back.

use tokio::sync::Mutex;

use crate::events::Event;
use crate::host::chain;
use crate::store::{Store, StoreError};

/// Writes heads into the journal.
pub(super) struct Anchors {
    store: Store,
    /// The last entry that is there.
    last: Mutex<i64>,
}

impl Anchors {
    /// Begins with the head as it is now, which a crash may have kept from being written.
    pub(super) async fn begin(store: &Store) -> Result<Self, StoreError> {
        let heads = store.heads(0).await?;
        let last = heads.last().map_or(0, |head| head.seq - 1);
        let anchors = Self { store: store.clone(), last: Mutex::new(last) };
        anchors.write().await;
        Ok(anchors)
    }

    /// Writes down what is new.
    pub(super) async fn write(&self) {
        let mut last = self.last.lock().await;
        match self.store.heads(*last).await {
            Ok(heads) => {
                for head in heads {
                    tracing::info!(
                        tsh_audit_entry = head.seq, tsh_audit_hash = %head.hash, message_id = Event::Audited.id(),
                        "audit entry {} is {}", head.seq, head.hash
                    );
                    *last = head.seq;
                }
            }
            // The next entry brings this one along.
            Err(error) => tracing::error!("the head of the audit is not in the journal: {}", chain(&error)),
        }
    }
}
