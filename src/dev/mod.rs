//! The development set-up: a rack in memory, and people to try policies with.

mod people;
pub mod rack;

pub use people::{Person, people};
