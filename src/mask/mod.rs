//! Environments as text, and what stands for the values that somebody may not see.
//!
//! Pure: no I/O, no clock, no state.

mod environment;

pub use environment::{Changes, Environment, EnvironmentError};
