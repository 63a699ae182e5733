//! Integration tests.

mod audit;
mod harness;
