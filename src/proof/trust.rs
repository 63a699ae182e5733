//! What an auditor believes before looking at anything: the name of the log, the keys that sign for
//! it, where its anchors are. It comes from the operator once, by a way of its own, and is kept by
//! the auditor; a copy beside the evidence proves nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::key::PublicKey;

/// The trust file, version 1 (`docs/audit-format.md`, "Trust file").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// Version of the file, 1.
    pub v: u64,
    /// The name of the log, of its first epoch.
    pub origin: String,
    /// Keys that may sign; those that they hand over to need not be here.
    pub keys: Vec<TrustedKey>,
    /// Where the anchors are.
    pub store: AnchorStore,
    /// Whether a software key or a folder stands in for KMS and S3: proves nothing to outsiders.
    #[serde(default)]
    pub development: bool,
    /// Breaks that the auditor knows of and accepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<AcceptedBreak>,
}

/// A key that may sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedKey {
    /// SubjectPublicKeyInfo, DER, in base64.
    pub public_key: String,
    /// For people: such as the ARN of the key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// Where anchors are. Written into each anchor's metadata, so that anchors of another bucket are not
/// taken for those of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename_all = "lowercase")]
pub enum AnchorStore {
    /// A bucket with Object Lock.
    S3 {
        /// Its name.
        bucket: String,
        /// Its region.
        region: String,
        /// The account that owns it, where it was named.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        account: String,
    },
    /// A folder: development.
    File {
        /// The path, as it was configured.
        path: String,
    },
}

/// A declared break of the log that the auditor accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedBreak {
    /// The epoch that it began.
    pub epoch: u64,
    /// Records up to this one were kept.
    pub kept: u64,
    /// Records up to this one had been anchored before it.
    pub lost: u64,
}

/// Why a trust file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not the JSON that it must be.
    #[error("the trust file cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another version.
    #[error("the trust file is of version {0}, which this program does not know")]
    Version(u64),
    /// A key that is none.
    #[error("key {0} of the trust file is no public key of ECDSA on P-256 (SubjectPublicKeyInfo in base64)")]
    Key(usize),
    /// No key at all.
    #[error("the trust file names no key")]
    NoKey,
}

impl Trust {
    /// Reads a trust file.
    ///
    /// # Errors
    /// When it is not exactly one: what is unknown in it might restrict what is to be believed.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        let trust: Self = serde_json::from_slice(bytes)?;
        if trust.v != 1 {
            return Err(TrustError::Version(trust.v));
        }
        trust.public_keys()?;
        Ok(trust)
    }

    /// The keys, at least one.
    ///
    /// # Errors
    /// When one is none, or there is none.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>, TrustError> {
        let read = |(at, key): (usize, &TrustedKey)| {
            let der = STANDARD.decode(&key.public_key).map_err(|_| TrustError::Key(at + 1))?;
            PublicKey::from_spki(&der).map_err(|_| TrustError::Key(at + 1))
        };
        let keys = self.keys.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(TrustError::NoKey) } else { Ok(keys) }
    }

    /// Whether it can prove something to an outsider.
    #[must_use]
    pub const fn is_development(&self) -> bool {
        self.development || matches!(self.store, AnchorStore::File { .. })
    }
}
