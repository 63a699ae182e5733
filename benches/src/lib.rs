//! Benchmarks live beside this folder.
