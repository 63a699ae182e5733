//! Second factors: enrolling them, believing or refusing what somebody shows, and counting failures.
//!
//! Nothing here decides what a proof is worth: a [`Proof`] says what was shown, and policy the rest.

mod attempts;
mod backup;
mod device;
mod enrol;
mod error;
mod log;
mod passkey;
mod totp;
mod verify;
mod yubico;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::audit::Writer;
use crate::config::{Site, YubicoSettings};
use crate::store::{FactorKind, FactorRow, Store};
use crate::vault::Vault;

pub use enrol::{Confirmation, TotpEnrolment, WebauthnEnrolment};
pub use error::{FactorError, FactorSetupError};
pub use passkey::Authenticator;

/// The purpose under which the vault keeps secrets of authenticator apps, by the id of the factor.
pub const TOTP_PURPOSE: &str = "totp";

/// By what somebody proves that it is they.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A passkey or security key.
    Webauthn,
    /// A code of an authenticator app.
    Totp,
    /// A one-time password of a YubiKey.
    Yubico,
    /// A backup code.
    Backup,
}

impl Method {
    /// The word in records, rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webauthn => "webauthn",
            Self::Totp => "totp",
            Self::Yubico => "yubico",
            Self::Backup => "backup",
        }
    }

    /// The method of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Webauthn, Self::Totp, Self::Yubico, Self::Backup].into_iter().find(|method| method.as_str() == word)
    }

    /// Whether it cannot be phished: the answer is worthless on any other site.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        matches!(self, Self::Webauthn)
    }
}

/// What a question of a person is answered with: databases, the time, and what records say of the
/// request.
#[derive(Clone, Copy, Debug)]
pub struct Desk<'a> {
    /// The database.
    pub store: &'a Store,
    /// Secrets at rest.
    pub vault: &'a Vault,
    /// The record.
    pub audit: &'a Writer,
    /// The time.
    pub now: OffsetDateTime,
    /// The gateway's id of the request; empty when there is none.
    pub request_id: &'a str,
    /// Where it comes from, when known.
    pub source_ip: Option<IpAddr>,
}

/// What somebody shows.
#[derive(Debug)]
pub enum Answer {
    /// Six digits.
    Totp(SecretString),
    /// A backup code, in any case, with or without dashes.
    Backup(SecretString),
    /// What a YubiKey typed.
    Yubico(SecretString),
    /// What a browser gives back for an assertion.
    Webauthn {
        /// What [`Factors::assertion`] gave out with the question; must be used once only.
        state: String,
        /// An `AuthenticationResponseJSON` (WebAuthn L3 §5.1.8).
        credential: Value,
    },
}

impl Answer {
    /// By what it proves.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Totp(_) => Method::Totp,
            Self::Backup(_) => Method::Backup,
            Self::Yubico(_) => Method::Yubico,
            Self::Webauthn { .. } => Method::Webauthn,
        }
    }
}

/// That somebody showed something that is theirs. Recorded, and spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// By what.
    pub method: Method,
    /// Which factor; none for a backup code.
    pub factor_id: Option<String>,
    /// When.
    pub at: OffsetDateTime,
}

impl Proof {
    /// Whether it could not have been phished.
    #[must_use]
    pub const fn is_strong(&self) -> bool {
        self.method.is_strong()
    }
}

/// What a person can be asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Methods {
    /// A passkey or security key.
    pub webauthn: bool,
    /// A code of an authenticator app.
    pub totp: bool,
    /// A one-time password of a YubiKey, where the gateway can check one.
    pub yubico: bool,
    /// How many backup codes are unused.
    pub backup: u64,
    /// What they would rather be asked for, where they can be.
    pub preferred: Option<Method>,
}

impl Methods {
    /// Whether the person can be asked for this.
    #[must_use]
    pub const fn has(&self, method: Method) -> bool {
        match method {
            Method::Webauthn => self.webauthn,
            Method::Totp => self.totp,
            Method::Yubico => self.yubico,
            Method::Backup => self.backup > 0,
        }
    }
}

/// Second factors at this gateway. Cheap to clone.
#[derive(Clone)]
pub struct Factors {
    inner: Arc<Inner>,
}

struct Inner {
    /// What authenticator apps and browsers show: `Rack Gateway (acme/prod)`.
    title: String,
    passkeys: Option<passkey::Passkeys>,
    yubico: Option<yubico::Service>,
}

impl fmt::Debug for Factors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factors")
            .field("title", &self.inner.title)
            .field("passkeys", &self.inner.passkeys.is_some())
            .field("yubico", &self.inner.yubico.is_some())
            .finish()
    }
}

impl Factors {
    /// Second factors at `site`, in front of `rack`.
    ///
    /// # Errors
    /// [`FactorSetupError`] when the site's origin is none, or nothing could ask Yubico's service.
    pub fn new(site: &Site, rack: &str, yubico: Option<YubicoSettings>) -> Result<Self, FactorSetupError> {
        let title = format!("Rack Gateway ({rack})");
        let passkeys = passkey::Passkeys::new(site, &title)?;
        let yubico = yubico.map(yubico::Service::new).transpose()?;
        Ok(Self { inner: Arc::new(Inner { title, passkeys, yubico }) })
    }

    /// What a person can be asked for.
    ///
    /// # Errors
    /// [`FactorError::Unavailable`]; [`FactorError::NotEnrolled`] when there is no such person.
    pub async fn methods(&self, desk: &Desk<'_>, user_id: &str) -> Result<Methods, FactorError> {
        let user = desk.store.user_find(user_id).await?.ok_or(FactorError::NotEnrolled)?;
        let factors = desk.store.factor_list(user_id).await?;
        let has = |kind| factors.iter().any(|factor| factor.kind == kind);
        let (backup, _) = desk.store.backup_codes_left(user_id).await?;
        let methods = Methods {
            webauthn: self.inner.passkeys.is_some() && has(FactorKind::Webauthn),
            totp: has(FactorKind::Totp),
            yubico: self.inner.yubico.is_some() && has(FactorKind::Yubico),
            backup,
            preferred: None,
        };
        let preferred = user.preferred_method.as_deref().and_then(Method::from_word);
        Ok(Methods { preferred: preferred.filter(|method| methods.has(*method)), ..methods })
    }

    /// Whether one-time passwords of YubiKeys are taken.
    #[must_use]
    pub fn has_yubico(&self) -> bool {
        self.inner.yubico.is_some()
    }

    fn passkeys(&self) -> Result<&passkey::Passkeys, FactorError> {
        let what = "passkeys work only where the gateway has a name: choose another kind";
        self.inner.passkeys.as_ref().ok_or(FactorError::Unsupported(what))
    }

    fn yubico(&self) -> Result<&yubico::Service, FactorError> {
        let what = "this gateway does not take one-time passwords of YubiKeys: enrol the key as a security key";
        self.inner.yubico.as_ref().ok_or(FactorError::Unsupported(what))
    }
}

/// The person's confirmed factors of one kind.
async fn of_kind(desk: &Desk<'_>, user_id: &str, kind: FactorKind) -> Result<Vec<FactorRow>, FactorError> {
    let factors = desk.store.factor_list(user_id).await?;
    Ok(factors.into_iter().filter(|factor| factor.kind == kind).collect())
}

/// A person's id as the bytes that their passkeys know (WebAuthn §5.4.3).
fn handle(user_id: &str) -> Result<Uuid, FactorError> {
    Uuid::parse_str(user_id).map_err(|_| FactorError::Unavailable("the person's id is no UUID".to_owned()))
}
