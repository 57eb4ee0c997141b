//! Pause: after a rollback no trigger deploys until a person has looked. It binds triggers only: who types `deploy`
//! has looked.

use super::Said;
use super::facts::{Facts, HoldKind};

pub(super) fn ask(facts: &Facts<'_>) -> Said {
    match facts.standing.hold(HoldKind::Pause) {
        None => Said::pass("automatic deployments are not paused"),
        Some(pause) if facts.automatic => {
            Said::wait(None, format!("paused: {}", pause.reason)).lift("an operator: `tsh-agent resume`")
        }
        Some(pause) => Said::pass(format!("only automatic deployments are paused: {}", pause.reason))
            .lift("an operator: `tsh-agent resume`"),
    }
}
