//! What a step unit and the application's units are doing, read from systemd's properties.

use super::machine::Machine;
use super::step_output;
use super::systemd::State;
use crate::deploy::world::{Act, StepNow};
use crate::model::journal::{Cause, Invocation, UnitWas};
use crate::model::request::Report;

impl Machine {
    /// How far the run of a step unit is; `before` is a run that does not count.
    pub(super) fn step_now(&self, kind: &str, before: &Invocation, state: &State) -> StepNow {
        if state.invocation.is_empty() || state.invocation == *before {
            return StepNow::Idle;
        }
        let running = matches!(state.active.as_str(), "activating" | "deactivating" | "reloading");
        let exited = state.active == "active" && state.sub == "exited";
        if running || (state.active == "active" && !exited) {
            return StepNow::Running(state.invocation.clone());
        }
        let report = step_output::report(&self.settings.app, kind, &state.invocation);
        let unit = self.unit_of(kind);
        let report = match report {
            Some(Report::Done(_)) if !exited => None,
            Some(Report::Failed(mut cause)) => {
                cause.unit = Some((unit.clone(), state.invocation.clone()));
                Some(Report::Failed(cause))
            }
            other => other,
        };
        let silent = || {
            let how = state.ended();
            let mut cause = step_output::silent(&self.settings.app, kind, &unit, &state.invocation, &how);
            cause.killed = matches!(state.result.as_str(), "signal" | "core-dump" | "oom-kill");
            Report::Failed(cause)
        };
        StepNow::Ended(state.invocation.clone(), Box::new(report.unwrap_or_else(silent)))
    }

    /// The first watched unit that is no longer as it was.
    pub(super) async fn first_dead(&self, watched: &[UnitWas]) -> Act<Option<Cause>> {
        for was in watched {
            let state = self.systemd.state(was.name.as_str()).await?;
            if !state.up() || state.invocation != was.invocation || state.restarts != was.restarts {
                let mut cause = Cause::new(format!("{} did not stay up: {}", was.name, state.words()));
                if state.restarts > was.restarts {
                    cause.what = format!("{} died, and systemd restarted it: {}", was.name, state.words());
                }
                cause.unit = Some((was.name.to_string(), was.invocation.clone()));
                return Ok(Some(cause));
            }
        }
        Ok(None)
    }
}
