//! Integration tests.

mod dev_rack;
