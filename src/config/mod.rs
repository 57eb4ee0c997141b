//! Configuration: root's files, read once, validated, and then just values.

mod settings;

pub use settings::*;
