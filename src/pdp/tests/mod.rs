//! Tests of the decision point.

mod table;
