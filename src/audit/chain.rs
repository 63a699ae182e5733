//! The hashes of the chain. Plain SHA-256, so that checking needs no secret; a first byte of its
//! own for each use, so that no value can be passed off as another (RFC 6962, section 2.1).

use sha2::{Digest as _, Sha256};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// The chain value before the first record: bound to the name of the log.
#[must_use]
pub fn genesis(origin: &str) -> Hash {
    Sha256::new().chain_update("rack-gateway-audit/v1\n").chain_update(origin).finalize().into()
}

/// The hash of one record's canonical bytes.
#[must_use]
pub fn leaf(canon: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(canon).finalize().into()
}

/// The chain value after a record.
#[must_use]
pub fn link(previous: &Hash, leaf: &Hash) -> Hash {
    Sha256::new().chain_update([0x02]).chain_update(previous).chain_update(leaf).finalize().into()
}
