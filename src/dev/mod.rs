//! The development set-up.

pub mod rack;
