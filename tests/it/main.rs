//! Integration tests.

mod compile_fail;
mod routes;
mod tidy;
