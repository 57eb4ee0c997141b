//! What has come of a step unit, and whether what it looks at stays as it is.

use super::machine::Machine;
use super::step_output;
use super::systemd::State;
use crate::deploy::world::{Act, StepNow, Vigil};
use crate::model::journal::{Cause, Invocation};
use crate::model::request::Report;
use crate::model::slot::Told;

impl Machine<'_> {
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
    pub(super) async fn first_dead(&self, watched: &[Vigil]) -> Act<Option<Cause>> {
        for Vigil { was, usual } in watched {
            let state = self.systemd.state(was.name.as_str()).await?;
            if !state.up() || state.invocation != was.invocation || state.restarts != was.restarts {
                let mut cause = Cause::new(format!("{} did not stay up: {}", was.name, state.words()));
                if state.restarts > was.restarts {
                    cause.what = format!("{} died, and systemd restarted it: {}", was.name, state.words());
                }
                cause.unit = Some((was.name.to_string(), was.invocation.clone()));
                return Ok(Some(cause));
            }
            let told = Told::read(&state.status_text);
            if let Some((told, usual)) = told.zip(*usual)
                && told.fails_too_often(&usual)
            {
                let what = format!("{} answers {} of {} requests with an error", was.name, told.errors, told.requests);
                let usual = format!("the old release: {} of {}", usual.errors, usual.requests);
                return Ok(Some(Cause::new(what).hint(usual)));
            }
        }
        Ok(None)
    }
}
