//! The route table: which requests exist, what each means, and what it may carry.
//!
//! Pure: no I/O, no clock, no state. Everything that has to know a route reads it here:
//! the matcher, the policy schema test, the generated `docs/routes.md`, the tests over all rows.
//!
//! A request passes through three steps: [`Target::parse`], [`find()`], [`Matched::request`]
//! (with [`form`] for a form body). What comes out is written from the row; nothing of the
//! request is copied that the row does not list.

mod contract;
pub mod emit;
mod escape;
mod find;
mod headers;
mod own;
mod pairs;
mod param;
mod rack;
mod refused;
mod row;
mod target;
mod template;

pub use contract::{ContractError, Form, Outgoing, Place, form};
pub use find::{BadParameter, Found, Matched, find};
pub use own::OWN;
pub use rack::RACK;
pub use refused::{REFUSED, Refused};
pub use row::{Body, Contract, Facts, Kind, Param, Resource, Row, Serves};
pub use target::{MAX_SEGMENTS, MAX_TARGET, Target, TargetError};
