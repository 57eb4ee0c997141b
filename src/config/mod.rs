//! Configuration: root's files, read once, validated, and then just values.

mod settings;
#[cfg(test)]
pub mod testing;

pub use settings::*;
