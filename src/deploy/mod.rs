//! The engine: asks the model what is next and does it, intent first.

mod act;
mod acts;
pub mod engine;
pub mod world;

pub use acts::step_unit::SPACE;

#[cfg(test)]
pub(crate) mod sim;
