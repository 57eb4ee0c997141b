//! What a deployment will probably take, from what earlier ones took here.

use super::Daemon;
use super::orders::broken;
use crate::api::{Refusal, plain};
use crate::host::step_output;
use crate::model::expect::{Expected, expected};
use crate::model::lane::Lane;
use crate::model::names::App;
use crate::model::view::DeploymentView;

/// Older ones say little: the application was another one.
const RECENT: u32 = 10;

impl Daemon {
    /// What a deployment through this lane takes as a rule.
    pub(super) async fn expected(&self, app: &App, lane: Option<Lane>) -> Result<Expected, Refusal> {
        Ok(expected(&self.store.good_journals(app, RECENT).await.map_err(broken)?, lane))
    }

    /// Adds to each step that runs how far it is, and how long it takes as a rule.
    pub(super) async fn tell_what_is_expected(&self, view: &mut DeploymentView) -> Result<(), Refusal> {
        if view.steps.iter().any(|step| step.state == "running") {
            let known = self.expected(&view.app, view.lane).await?;
            for step in view.steps.iter_mut().filter(|step| step.state == "running") {
                step.expected = known.steps.get(&step.step).copied();
                let far = step.step.unit_kind().and_then(|kind| step_output::progress(&view.app, kind, step.began));
                step.detail = far.map(|far| plain(&far)).unwrap_or_default();
            }
        }
        Ok(())
    }
}
