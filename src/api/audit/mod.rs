//! The log of what happened, for whoever may read it: search, single records, proofs, exports.
//!
//! Each of these reads is itself decided and recorded; a search or an export also puts on the record what
//! was asked for.

pub(super) mod export;
pub(super) mod proofs;
pub(super) mod search;
