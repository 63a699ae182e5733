//! The real binary: killed, starved, filled, stopped.

mod crash;
mod large;
mod start;
