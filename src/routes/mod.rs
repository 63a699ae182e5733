//! The route table: which requests exist, what each means, and what it may carry.
//!
//! Pure: no I/O, no clock, no state. Everything that has to know a route reads it here:
//! the matcher, the policy schema test, the generated `docs/routes.md`, the tests over all rows.
//!
//! A request passes through three steps: [`Target::parse`], [`find()`], [`Matched::request`]
//! (with [`form`] for a form body). What comes out is written from the row; nothing of the
//! request is copied that the row does not list.

mod api;
mod console;
mod contract;
pub mod emit;
mod escape;
mod find;
mod headers;
mod pairs;
mod param;
mod rack;
mod refused;
mod row;
mod target;
mod template;

pub use api::{API, PUBLIC, Public, SIGN_IN};
pub use console::CONSOLE;
pub use contract::{ContractError, Form, Outgoing, Place, form};
pub use find::{BadParameter, Found, Matched, find};
pub use rack::RACK;
pub use refused::{REFUSED, Refused};
pub use row::{Body, Contract, Facts, Kind, Param, Resource, Row, Serves};
pub use target::{MAX_SEGMENTS, MAX_TARGET, Target, TargetError};

/// Every row that policy decides on, in the order of the tables.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    RACK.iter().chain(CONSOLE).chain(API).chain(SIGN_IN)
}
