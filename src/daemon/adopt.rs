//! A release that `tsh-agent adopt` takes over: it gets a number, and a place in the history.

use super::Daemon;
use super::orders::broken;
use crate::api::{Caller, Kind, Refusal};
use crate::host::machine::now;
use crate::model::journal::{Goal, Order};
use crate::model::names::{App, ReleaseId, Sha};
use crate::model::trigger::Trigger;
use crate::store::StoreError;

impl Daemon {
    pub(super) async fn adopt(
        &self,
        by: Caller,
        app: App,
        revision: Sha,
        subject: String,
    ) -> Result<ReleaseId, Refusal> {
        if by.uid != 0 {
            return Err(Refusal::new(Kind::NotPossible, "only root may adopt an application"));
        }
        self.settings(&app)?;
        let (goal, who) = (Goal::Revision(None), by.who());
        let order = Order {
            goal,
            from: None,
            from_revision: None,
            revision: Some(revision.clone()),
            by: by.name,
            force: false,
            slots: false,
            overrides: Vec::new(),
            who,
            trigger: Trigger::Person,
        };
        match self.store.adopt(&app, &revision, &subject, order, now(), &self.boot).await {
            Ok(id) => Ok(id),
            Err(StoreError::Busy) => Err(Refusal::new(Kind::Busy, format!("a deployment of {app} runs"))),
            Err(error) => Err(broken(error)),
        }
    }
}
