//! The development set-up: a rack in memory, an identity provider, and people to try policies with.

pub mod idp;
mod people;
pub mod rack;

pub use people::{Person, people};
