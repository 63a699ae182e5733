//! Public keys that sign checkpoints: ECDSA on P-256 with SHA-256, as DER (SPKI and ASN.1 signature),
//! which is what KMS and `openssl dgst` speak.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::chain::Hash;

/// What every SubjectPublicKeyInfo of an uncompressed P-256 point begins with (RFC 5480, section 2).
const PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Bytes of such a SubjectPublicKeyInfo.
const LENGTH: usize = 91;

/// The bytes are no public key of ECDSA on P-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a public key of ECDSA on P-256 (SubjectPublicKeyInfo, uncompressed point)")]
pub struct NotAKey;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    spki: Vec<u8>,
    fingerprint: Hash,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`NotAKey`] for any other kind of key or encoding.
    pub fn from_spki(der: &[u8]) -> Result<Self, NotAKey> {
        if der.len() != LENGTH || !der.starts_with(&PREFIX) || der.get(PREFIX.len()) != Some(&0x04) {
            return Err(NotAKey);
        }
        Ok(Self { spki: der.to_vec(), fingerprint: Sha256::digest(der).into() })
    }

    /// The SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 of the SubjectPublicKeyInfo: what people compare.
    #[must_use]
    pub const fn fingerprint(&self) -> &Hash {
        &self.fingerprint
    }

    /// The first four bytes of the fingerprint (C2SP signed-note, type 0x02).
    #[must_use]
    pub const fn id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.fingerprint;
        [a, b, c, d]
    }

    /// Whether `signature` (ASN.1 DER) is this key's for the SHA-256 of `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let point = self.spki.get(PREFIX.len()..).unwrap_or_default();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.fingerprint))
    }
}
