//! The route table: which requests exist, what each means, and what it may carry.
//!
//! Pure: no I/O, no clock, no state. Everything that has to know a route reads it here:
//! the matcher, the policy schema test, the generated `docs/routes.md`, the tests over all rows.

mod own;
mod rack;
mod refused;
mod row;

pub use own::OWN;
pub use rack::RACK;
pub use refused::{REFUSED, Refused};
pub use row::{Body, Contract, Facts, Kind, Param, Resource, Row, Serves};
