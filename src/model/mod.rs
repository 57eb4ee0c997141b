//! Values and rules. Pure: nothing here does I/O, reads a clock or is `async`.

pub mod backup;
pub mod care;
pub mod edited;
pub mod files;
pub mod finding;
pub mod fold;
mod inspected;
pub mod journal;
pub mod lane;
pub mod leaving;
pub mod machine;
pub mod names;
pub mod offsite;
pub mod outcome;
pub mod rehearsal;
pub mod request;
pub mod restore;
pub mod retention;
pub mod rollback;
pub mod step;
pub mod trigger;
pub mod view;
pub mod window;
