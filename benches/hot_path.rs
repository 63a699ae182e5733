//! Hot path.

fn main() {}
