//! Integration tests.

mod compile_fail;
mod tidy;
