//! What the step units run: `tsh-agent step <kind> <app>`. Each kind is a file; each has its own user and sandbox.

pub mod output;

use crate::config::Settings;
use crate::model::journal::{Cause, Output};
use crate::model::request::Request;

/// What a step has to work with.
pub struct Job {
    /// Root's configuration of the application.
    pub settings: Settings,
    /// What the core asks for.
    pub request: Request,
}

/// What comes of a step.
pub type Outcome = Result<Output, Cause>;
