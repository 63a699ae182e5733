//! The development set-up.
