//! What a request presents to prove who is calling.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use thiserror::Error;

/// Longest `Authorization` value that is looked at, in bytes.
const LONGEST: usize = 8 << 10;

/// A credential as presented: nothing is known of it yet.
pub struct Presented(SecretString);

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(..)")
    }
}

/// Why there is no credential to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// No `Authorization` header.
    #[error("no credential was sent")]
    Missing,
    /// A header that is neither Basic nor Bearer with a token in it.
    #[error("the Authorization header cannot be read")]
    Malformed,
}

impl Presented {
    /// Reads the values of all `Authorization` headers: `Basic` with the token as password
    /// (RFC 7617; the user name says nothing), as sole content, or `Bearer` (RFC 6750).
    ///
    /// # Errors
    /// When there is none, more than one, or one that cannot be read.
    pub fn from_authorization<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Self, CredentialError> {
        let value = values.next().ok_or(CredentialError::Missing)?;
        if values.next().is_some() || value.len() > LONGEST {
            return Err(CredentialError::Malformed);
        }
        let value = std::str::from_utf8(value).map_err(|_| CredentialError::Malformed)?;
        let (scheme, rest) = value.split_once(' ').ok_or(CredentialError::Malformed)?;
        let token = if scheme.eq_ignore_ascii_case("basic") {
            basic_password(rest.trim())?
        } else if scheme.eq_ignore_ascii_case("bearer") {
            rest.trim().to_owned()
        } else {
            return Err(CredentialError::Malformed);
        };
        if token.is_empty() {
            return Err(CredentialError::Malformed);
        }
        Ok(Self(SecretString::from(token)))
    }

    /// The token that was presented.
    pub(crate) fn secret(&self) -> &SecretString {
        &self.0
    }
}

/// The password of a Basic credential. The CLI sends `https://TOKEN@host` without any colon; then
/// the whole is the token.
fn basic_password(encoded: &str) -> Result<String, CredentialError> {
    let bytes = STANDARD.decode(encoded).map_err(|_| CredentialError::Malformed)?;
    let text = String::from_utf8(bytes).map_err(|_| CredentialError::Malformed)?;
    Ok(match text.split_once(':') {
        Some((_, password)) => password.to_owned(),
        None => text,
    })
}
