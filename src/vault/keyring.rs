//! Sealing and opening, by AES-256-GCM-SIV (RFC 8452) with random nonces. Should a nonce ever come
//! twice, this cipher tells no more than whether the same text was sealed twice.
//!
//! A sealed value is text: `v1.` key id `.` base64url of nonce, ciphertext and tag. It opens only
//! for the purpose and the row that it was sealed for.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use thiserror::Error;

use super::key::{Key, KeyId, KeyTrouble, WeakKey};

/// The version of the form. Another cipher or another derivation gets another one.
const VERSION: &str = "v1";
/// Bytes that sealing adds to the ciphertext.
const TAG: usize = 16;

/// Why there is no keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyringError {
    /// The current key could be guessed.
    #[error("APP_SECRET_KEY is too weak: {0}")]
    Current(WeakKey),
    /// The previous key could be guessed.
    #[error("APP_SECRET_KEY_PREVIOUS is too weak: {0}")]
    Previous(WeakKey),
    /// Nothing changes between the two.
    #[error("APP_SECRET_KEY_PREVIOUS is the same key as APP_SECRET_KEY: set it to the old one, or leave it out")]
    Same,
    /// The cryptographic library refuses to work.
    #[error("no key can be derived: the cryptographic library failed")]
    Failed,
}

/// Why a value was not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the value cannot be sealed: the cryptographic library failed or the system gives no randomness")]
pub struct SealError;

/// Why a sealed value does not open. Nothing of the value is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// It is not of the form that [`Keyring::seal`] gives.
    #[error("this is no sealed value")]
    Malformed,
    /// A newer gateway sealed it.
    #[error("the value was sealed by another version of the gateway: use the newer one")]
    Version,
    /// It was sealed under a key that is not on this keyring.
    #[error("the value is sealed under key {0}, which is not set: set APP_SECRET_KEY_PREVIOUS to that key")]
    UnknownKey(KeyId),
    /// It was changed, or was sealed for another purpose or another row. Which of them, cannot be told.
    #[error("the sealed value was changed, or belongs somewhere else: restore it from a backup")]
    Refused,
    /// It opens, but is not the UTF-8 text that was asked for.
    #[error("the sealed value is no text")]
    NotText,
}

/// The current key, under which everything is sealed, and the previous one, which still opens.
/// Cheap to clone; knows no database and no clock.
#[derive(Clone)]
pub struct Keyring(Arc<Keys>);

struct Keys {
    current: Key,
    previous: Option<Key>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("current", &self.current_id()).field("previous", &self.previous_id()).finish()
    }
}

impl Keyring {
    /// Derives the keys from what the operator set: text of at least 32 bytes that nobody can
    /// guess, such as `openssl rand -base64 32` prints.
    ///
    /// # Errors
    /// When one of them could be guessed, or both are the same.
    pub fn new(current: &SecretString, previous: Option<&SecretString>) -> Result<Self, KeyringError> {
        let failed = |trouble, weak: fn(WeakKey) -> KeyringError| match trouble {
            KeyTrouble::Weak(why) => weak(why),
            KeyTrouble::Failed => KeyringError::Failed,
        };
        let current = Key::derive(current).map_err(|trouble| failed(trouble, KeyringError::Current))?;
        let previous = previous.map(Key::derive).transpose();
        let previous = previous.map_err(|trouble| failed(trouble, KeyringError::Previous))?;
        if previous.as_ref().is_some_and(|previous| previous.id == current.id) {
            return Err(KeyringError::Same);
        }
        Ok(Self(Arc::new(Keys { current, previous })))
    }

    /// The id of the key under which values are sealed.
    #[must_use]
    pub fn current_id(&self) -> KeyId {
        self.0.current.id
    }

    /// The id of the key that only opens.
    #[must_use]
    pub fn previous_id(&self) -> Option<KeyId> {
        self.0.previous.as_ref().map(|key| key.id)
    }

    /// Seals a value under the current key. It opens only with the same `purpose` (what it is,
    /// such as `totp`) and the same `bound_to` (whose it is: the id of its row).
    ///
    /// # Errors
    /// [`SealError`] when the system gives no randomness.
    pub fn seal(&self, purpose: &str, bound_to: &str, plain: &[u8]) -> Result<String, SealError> {
        self.try_seal(purpose, bound_to, plain).map_err(|_| SealError)
    }

    fn try_seal(&self, purpose: &str, bound_to: &str, plain: &[u8]) -> Result<String, Unspecified> {
        let key = &self.0.current;
        let cipher = RandomizedNonceKey::new(&AES_256_GCM_SIV, key.of(purpose)?.expose_secret())?;
        // Room for the tag at once: growing would leave a copy of the plain text in freed memory.
        let mut buffer = Vec::with_capacity(plain.len() + TAG);
        buffer.extend_from_slice(plain);
        let nonce = cipher.seal_in_place_append_tag(associated(key.id, purpose, bound_to), &mut buffer)?;
        let sealed = [nonce.as_ref().as_slice(), &buffer].concat();
        Ok(format!("{VERSION}.{}.{}", key.id, URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens a value that was sealed for this purpose and this row.
    ///
    /// # Errors
    /// [`OpenError`] when it does not open.
    pub fn open(&self, purpose: &str, bound_to: &str, sealed: &str) -> Result<SecretSlice<u8>, OpenError> {
        let (id, body) = parts(sealed)?;
        let key = self.key(id).ok_or(OpenError::UnknownKey(id))?;
        let mut body = URL_SAFE_NO_PAD.decode(body).map_err(|_| OpenError::Malformed)?;
        let (nonce, ciphertext) = body.split_first_chunk_mut::<NONCE_LEN>().ok_or(OpenError::Malformed)?;
        let secret = key.of(purpose).map_err(|_| OpenError::Refused)?;
        let cipher = RandomizedNonceKey::new(&AES_256_GCM_SIV, secret.expose_secret());
        let cipher = cipher.map_err(|_| OpenError::Refused)?;
        let associated = associated(id, purpose, bound_to);
        let plain = cipher.open_in_place(Nonce::assume_unique_for_key(*nonce), associated, ciphertext);
        let opened = plain.map(|plain| SecretSlice::from(plain.to_vec())).map_err(|_| OpenError::Refused);
        body.zeroize();
        opened
    }

    /// Opens a value that was sealed as text.
    ///
    /// # Errors
    /// [`OpenError`] when it does not open, or is not UTF-8.
    pub fn open_text(&self, purpose: &str, bound_to: &str, sealed: &str) -> Result<SecretString, OpenError> {
        let plain = self.open(purpose, bound_to, sealed)?;
        std::str::from_utf8(plain.expose_secret()).map(SecretString::from).map_err(|_| OpenError::NotText)
    }

    /// Whether a value is sealed under the current key. Says nothing about whether it opens.
    #[must_use]
    pub fn is_current(&self, sealed: &str) -> bool {
        parts(sealed).is_ok_and(|(id, _)| id == self.current_id())
    }

    fn key(&self, id: KeyId) -> Option<&Key> {
        [Some(&self.0.current), self.0.previous.as_ref()].into_iter().flatten().find(|key| key.id == id)
    }
}

/// Key id and base64url of a sealed value.
fn parts(sealed: &str) -> Result<(KeyId, &str), OpenError> {
    let (version, rest) = sealed.split_once('.').ok_or(OpenError::Malformed)?;
    if version != VERSION {
        let other = version.strip_prefix('v').is_some_and(|number| number.parse::<u16>().is_ok());
        return Err(if other { OpenError::Version } else { OpenError::Malformed });
    }
    let (id, body) = rest.split_once('.').ok_or(OpenError::Malformed)?;
    Ok((KeyId::parse(id).ok_or(OpenError::Malformed)?, body))
}

/// What is authenticated with the value. Every part but the last has its length, so that nothing
/// moves from one to the next.
fn associated(id: KeyId, purpose: &str, bound_to: &str) -> Aad<Vec<u8>> {
    let length = u64::try_from(purpose.len()).unwrap_or(u64::MAX).to_be_bytes();
    let head = format!("{VERSION}.{id}.");
    Aad::from([head.as_bytes(), &length, purpose.as_bytes(), bound_to.as_bytes()].concat())
}
