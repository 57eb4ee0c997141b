//! What goes wrong in a scenario.

use crate::model::lane::Lane;
use crate::model::step::Step;

/// What goes wrong in a scenario.
#[derive(Clone, Debug)]
pub struct Script {
    pub lane: Lane,
    /// A backup takes the live database's place; else a revision is deployed.
    pub restore: bool,
    pub first: bool,
    /// Two slots behind a socket.
    pub slots: bool,
    /// No person has typed it.
    pub automatic: bool,
    pub fails: Option<Step>,
    /// A failing or killed step leaves half of its work behind.
    pub half: bool,
    /// How many times the step fails before it succeeds.
    pub times: usize,
    pub abort_at: Option<usize>,
    /// How often the gates have it wait before they agree; a lock is what is waited for.
    pub waits: usize,
    /// A trigger ordered a revision that has failed here.
    pub quarantined: bool,
    /// A newer order comes when it rests for the first time.
    pub superseded: bool,
    /// The intent of this step never reaches the disk.
    pub lost_intent: Option<Step>,
    /// The migrations are those of the running release.
    pub alike: bool,
}

/// A scenario in which nothing goes wrong.
pub const GOOD: Script = Script {
    lane: Lane::Code,
    restore: false,
    first: false,
    slots: false,
    automatic: false,
    fails: None,
    half: false,
    times: 1,
    abort_at: None,
    waits: 0,
    quarantined: false,
    superseded: false,
    lost_intent: None,
    alike: false,
};
