//! The development set-up: a rack in memory, and people to try policies with.

mod key;
mod people;
pub mod rack;

pub use key::secret_key;
pub use people::{Person, people};
