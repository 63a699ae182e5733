//! Tests of the decision point.

mod matrix;
mod table;
