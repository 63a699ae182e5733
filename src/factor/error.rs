//! Why a second factor is not believed, enrolled or asked for.

use rand::rngs::SysError;
use thiserror::Error;

use crate::audit;
use crate::identity::SetupError;
use crate::store::StoreError;
use crate::vault::VaultError;

/// Why nobody can be asked for second factors.
#[derive(Debug, Error)]
pub enum FactorSetupError {
    /// The public name is no address.
    #[error("the public name of the gateway is no address that a browser knows: check DOMAIN")]
    Site,
    /// Nothing that could ask Yubico's service.
    #[error("the client for Yubico's validation service cannot be made: {0}")]
    Yubico(#[from] SetupError),
}

/// What went wrong, in words for the person who is asked. Never which part of an answer was wrong.
#[derive(Debug, Error)]
pub enum FactorError {
    /// A wrong answer, or one that was given before.
    #[error("that was not right, or it was used before: try again with a new one")]
    Rejected,
    /// The person has nothing of that kind.
    #[error("no such factor is enrolled: choose another one")]
    NotEnrolled,
    /// Too many tries; in so many seconds there may be another one.
    #[error("too many tries: try again in {0} seconds")]
    TooMany(u64),
    /// The person is locked.
    #[error("the account is locked: ask an administrator to unlock it")]
    Locked,
    /// The enrolment is over, complete, of somebody else or of another session.
    #[error("this enrolment is over, or it was begun in another session: begin again")]
    Expired,
    /// Somebody enrolled this one already.
    #[error("this key is enrolled already: use another one")]
    Taken,
    /// The person has as many as anybody may have.
    #[error("there are {0} factors already: remove one first")]
    Full(u64),
    /// This gateway cannot do that.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The database, the audit log, the vault or Yubico's service does not do its part. The cause is
    /// for the log.
    #[error("second factors cannot be checked now: try again shortly")]
    Unavailable(String),
}

impl FactorError {
    /// Stable name: the end of the problem's `type`.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Rejected => "factor-rejected",
            Self::NotEnrolled => "factor-not-enrolled",
            Self::TooMany(_) => "too-many",
            Self::Locked => "account-locked",
            Self::Expired => "enrolment-over",
            Self::Taken => "factor-taken",
            Self::Full(_) => "too-many-factors",
            Self::Unsupported(_) => "factor-unsupported",
            Self::Unavailable(_) => "factor-unavailable",
        }
    }

    /// Status of the answer (RFC 9110 §15).
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Rejected | Self::Locked => 403,
            Self::TooMany(_) => 429,
            Self::Expired => 410,
            Self::NotEnrolled | Self::Taken | Self::Full(_) => 409,
            Self::Unsupported(_) => 422,
            Self::Unavailable(_) => 503,
        }
    }
}

impl From<StoreError> for FactorError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<VaultError> for FactorError {
    fn from(error: VaultError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<audit::Unavailable> for FactorError {
    fn from(error: audit::Unavailable) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<SysError> for FactorError {
    fn from(error: SysError) -> Self {
        Self::Unavailable(format!("the operating system has no randomness: {error}"))
    }
}
