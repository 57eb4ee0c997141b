//! The core's half of each step.

pub mod alike;
pub mod database;
pub mod gates;
pub mod link;
pub mod rehearse;
pub mod restore;
pub mod settle;
pub mod slots;
pub mod step_unit;
pub mod units;
