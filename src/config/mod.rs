//! What the operator may set: read once, typed, all problems reported together.
//!
//! The environment is read through [`Env`], so that tests pass a map. Nothing else in the program
//! reads a variable.

mod env;
mod policy_dir;
mod settings;

pub use env::{Env, Process};
pub use policy_dir::{PolicyDirError, read_policy_dir};
pub use settings::{Config, ConfigErrors, Pin, RackSettings, Trust};

#[cfg(test)]
mod tests;
