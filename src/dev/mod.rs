//! The development set-up: a rack in memory, an identity provider, and people to try policies with.

pub mod idp;
mod key;
mod people;
pub mod rack;

pub use key::secret_key;
pub use people::{Person, people};
