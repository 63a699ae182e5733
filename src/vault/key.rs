//! From the operator's text to keys: one for each purpose, by HKDF-SHA256 (RFC 5869).

use std::collections::BTreeSet;
use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use thiserror::Error;

/// Salt of the extraction. It and the labels below are part of the format: a change makes every
/// stored secret unreadable.
const SALT: &[u8] = b"rack-gateway/vault/v1";
const LABEL_ID: &[u8] = b"key id";
const LABEL_SEAL: &[u8] = b"seal: ";

/// Bytes of an AES-256 key.
const KEY: usize = 32;
/// Bytes of a key's id.
const ID: usize = 8;

/// Fewest bytes of text: 32 hexadecimal digits are 128 bits.
const SHORTEST: usize = 32;
/// Fewest different bytes. Random text of the shortest length has fewer once in a million times.
const FEWEST: usize = 8;
/// What stands in examples and templates. Long enough that random text does not contain it.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "password",
    "passphrase",
    "example",
    "placeholder",
    "replace",
    "default",
    "development",
    "production",
    "openssl",
    "insert",
    "your-",
    "your_",
    "0123456789",
    "abcdefgh",
    "qwerty",
];

/// Why a text is not taken as a key. Says how to make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WeakKey {
    /// Fewer bytes than needed.
    #[error("it has {0} bytes and needs at least {SHORTEST}: make one with `openssl rand -base64 32`")]
    Short(usize),
    /// One byte, or one piece, again and again.
    #[error("it repeats itself: make one with `openssl rand -base64 32`")]
    Repeats,
    /// It stands in an example, or could.
    #[error("it contains a word of an example: make one with `openssl rand -base64 32`")]
    Placeholder,
}

/// The name of a key: derived from it, tells nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID]);

impl KeyId {
    /// Reads what [`fmt::Display`] writes, and no other spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(hex::decode(text).ok()?.try_into().ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// One key of the operator's, from which those of the purposes are derived.
pub(super) struct Key {
    pub(super) id: KeyId,
    prk: Prk,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How many bytes to derive.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Key {
    /// Space around the text is not part of it: editors and shells add it.
    pub(super) fn derive(text: &SecretString) -> Result<Self, KeyTrouble> {
        let text = text.expose_secret().trim();
        check(text)?;
        let prk = Salt::new(HKDF_SHA256, SALT).extract(text.as_bytes());
        let mut id = [0; ID];
        prk.expand(&[LABEL_ID], Length(ID))?.fill(&mut id)?;
        Ok(Self { id: KeyId(id), prk })
    }

    /// The key for one purpose. The label comes first and the purpose last, so that no two
    /// purposes share one.
    pub(super) fn of(&self, purpose: &str) -> Result<SecretBox<[u8; KEY]>, Unspecified> {
        let mut key = Box::new([0; KEY]);
        self.prk.expand(&[LABEL_SEAL, purpose.as_bytes()], Length(KEY))?.fill(key.as_mut())?;
        Ok(SecretBox::new(key))
    }
}

/// Why there is no key.
pub(super) enum KeyTrouble {
    Weak(WeakKey),
    Failed,
}

impl From<WeakKey> for KeyTrouble {
    fn from(weak: WeakKey) -> Self {
        Self::Weak(weak)
    }
}

impl From<Unspecified> for KeyTrouble {
    fn from(_: Unspecified) -> Self {
        Self::Failed
    }
}

fn check(text: &str) -> Result<(), WeakKey> {
    if text.len() < SHORTEST {
        return Err(WeakKey::Short(text.len()));
    }
    let lower = text.to_lowercase();
    if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        return Err(WeakKey::Placeholder);
    }
    let different = text.bytes().collect::<BTreeSet<_>>().len();
    let again = |period| text.bytes().skip(period).zip(text.bytes()).all(|(later, earlier)| later == earlier);
    if different < FEWEST || (1..=text.len() / 2).any(again) {
        return Err(WeakKey::Repeats);
    }
    Ok(())
}
