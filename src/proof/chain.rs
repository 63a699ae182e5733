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

#[cfg(test)]
mod tests {
    use super::{genesis, leaf, link};

    /// Made with Python's `hashlib`, so that a change here is a change of the format.
    #[test]
    fn known_values() {
        let begin = genesis("gw.example.com/prod/audit");
        assert_eq!(hex::encode(begin), "9183c54bf22e76f62fb6f531e7ba17113c7ba9a82123dc575db7042d8e36f065");
        let leaf = leaf(b"{\"seq\":1}");
        assert_eq!(hex::encode(leaf), "b119a77a4864308c481efb947ff723d6bd4ea1e7fab902eb8ca98bd759e46aee");
        assert_eq!(
            hex::encode(link(&begin, &leaf)),
            "8d4ecf37f2301446b899d01aa4c2d6223a956c40390ec79eb94930952eb4aca9"
        );
    }
}
