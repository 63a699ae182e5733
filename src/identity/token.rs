//! Tokens: what they look like, and what is kept of them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Every token begins so, which lets scanners recognise one.
const PREFIX: &str = "rgw_";
/// Bytes of randomness.
const RANDOM: usize = 32;
/// Bytes of checksum behind it.
const CHECK: usize = 4;

/// SHA-256 of a token: all that the database holds of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// A token in clear: `rgw_` and the base64url of 32 random bytes and a 4-byte checksum. All its
/// characters pass through a URL's password unchanged, as the CLI requires.
pub struct Token(SecretString);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Makes a new token.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate() -> Result<Self, rand::rngs::SysError> {
        let mut bytes = vec![0; RANDOM];
        SysRng.try_fill_bytes(&mut bytes)?;
        let check = checksum(&bytes);
        bytes.extend(check);
        Ok(Self(SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))))
    }

    /// Reads what was presented. None when it is no token of ours, by form or checksum: then no
    /// database needs to be asked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let (random, check) = bytes.split_at_checked(RANDOM)?;
        (check == checksum(random)).then(|| Self(SecretString::from(text)))
    }

    /// What the database holds of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.expose_secret().as_bytes()).into())
    }

    /// The token in clear, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

fn checksum(random: &[u8]) -> [u8; CHECK] {
    let digest = Sha256::new().chain_update(b"rack-gateway-token").chain_update(random).finalize();
    let mut check = [0; CHECK];
    check.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    check
}
