//! What a request presents to prove who is calling.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// Longest `Authorization` value that is looked at, in bytes.
const LONGEST: usize = 8 << 10;

/// A credential as presented: nothing is known of it yet.
pub struct Presented {
    secret: SecretString,
    transport: Transport,
}

/// How a credential came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In the `Authorization` header: a program put it there.
    Header,
    /// In a cookie: the browser put it there, whoever made it ask.
    Cookie,
}

/// Name of the cookie of a browser's session. The prefix makes browsers refuse it unless it is
/// `Secure`, for the whole site, and set by this very host (RFC 6265bis §4.1.3.2).
pub const SESSION_COOKIE: &str = "__Host-rgw_session";

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
        Ok(Self { secret: SecretString::from(token), transport: Transport::Header })
    }

    /// Reads the session's cookie out of the values of all `Cookie` headers (RFC 6265 §4.2).
    ///
    /// # Errors
    /// When there is none, or more than one: which of them a browser sends first is not up to us.
    pub fn from_cookies<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Self, CredentialError> {
        let mut found = None;
        for value in values {
            let text = std::str::from_utf8(value).map_err(|_| CredentialError::Malformed)?;
            for pair in text.split(';') {
                let Some((name, token)) = pair.trim().split_once('=') else { continue };
                if name == SESSION_COOKIE && found.replace(token.to_owned()).is_some() {
                    return Err(CredentialError::Malformed);
                }
            }
        }
        let token = found.filter(|token| !token.is_empty()).ok_or(CredentialError::Missing)?;
        Ok(Self { secret: SecretString::from(token), transport: Transport::Cookie })
    }

    /// How it came.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// What a page of this gateway sends back to prove that it was served to this session; none
    /// where a browser is not involved. Derived, so that nothing is stored and a leak of it does not
    /// give the session away.
    #[must_use]
    pub fn csrf_token(&self) -> Option<String> {
        match self.transport {
            Transport::Header => None,
            Transport::Cookie => Some(csrf_token(self.secret.expose_secret())),
        }
    }

    /// The token that was presented.
    pub(crate) fn secret(&self) -> &SecretString {
        &self.secret
    }
}

fn csrf_token(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::new().chain_update(b"rack-gateway/csrf\0").chain_update(secret).finalize())
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
