//! The log of what happened, for whoever may read it: search, single records, proofs, exports.
//!
//! Each of these reads is itself decided and recorded; a search or an export also puts on the record what
//! was asked for.

pub(super) mod export;
pub(super) mod proofs;
pub(super) mod search;

use super::action::Action;
use super::{Call, Problem};
use crate::store::StoreError;

fn bad_value(message: impl Into<String>) -> Problem {
    Problem::new(400, "query-value", message)
}

/// What the store calls invalid came from the query.
fn invalid_is_bad(error: StoreError) -> Problem {
    match error {
        StoreError::Invalid(message) => bad_value(message),
        other => other.into(),
    }
}

/// The record of the path.
fn seq<A: Action>(call: &Call<A>) -> Result<u64, Problem> {
    call.param("seq")?.parse().map_err(|_| Problem::not_found("record"))
}

/// A number of the query.
fn number<A: Action>(call: &Call<A>, name: &str) -> Result<Option<u64>, Problem> {
    let query = call.granted().query();
    let Some(text) = query.get(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number: &u64| *number < 1 << 53 && number.to_string() == text);
    number.map(Some).ok_or_else(|| bad_value(format!("{name} must be a number from 0 to 9007199254740991")))
}
