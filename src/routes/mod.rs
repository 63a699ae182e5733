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
mod derived;
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
pub use contract::{ContractError, Form, Outgoing, Place, form, map};
pub use derived::DERIVED;
pub use find::{BadParameter, Found, Matched, find};
pub use rack::RACK;
pub use refused::{REFUSED, Refused};
pub use row::{Body, Contract, FORM_MAX, Facts, Keys, Kind, Param, Redactor, Resource, Row, Serves, Step};
pub use target::{MAX_SEGMENTS, MAX_TARGET, Target, TargetError};

/// Every row that a request can name, in the order of the tables.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    RACK.iter().chain(CONSOLE).chain(API).chain(SIGN_IN)
}

/// Every action that policy decides on: those of the rows, then those that follow from what a request holds.
pub fn actions() -> impl Iterator<Item = &'static Row> {
    rows().chain(DERIVED)
}

/// A path of these segments, each escaped; a slash in one is no separator.
#[must_use]
pub fn path(segments: &[&str]) -> String {
    let mut out = String::new();
    for segment in segments {
        out.push('/');
        let mut parts = segment.split('/');
        escape::push_path(&mut out, parts.next().unwrap_or_default());
        for part in parts {
            out.push_str("%2F");
            escape::push_path(&mut out, part);
        }
    }
    out
}
