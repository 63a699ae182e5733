//! What tests and benchmarks share: evidence of logs, honest and not. The integration tests live in `it/`.

pub mod evidence;
