//! Personal values that a record must not hold in clear: it holds a commitment, the value lies
//! beside it and can be deleted. Without the salt a commitment tells nothing, not even to whoever
//! guesses the value.

use sha2::{Digest as _, Sha256};

use super::chain::Hash;

/// Length of a salt, in bytes.
pub const SALT: usize = 16;

/// What stands in the record for `value`.
#[must_use]
pub fn commit(salt: &[u8; SALT], value: &str) -> Hash {
    Sha256::new().chain_update([0x03]).chain_update(salt).chain_update(value).finalize().into()
}
