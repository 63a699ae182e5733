//! Who a CI run is: an identity token of its platform, believed and read (RFC 8693 §2.1 `subject_token`).

mod facts;

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::oidc::{
    Expected, Provider, ProviderError, Purpose, SetupError, TokenError, Verified, VerifyError, unverified_issuer,
    verify,
};
use crate::config::{WorkloadIssuer, WorkloadSettings};

/// Longest token that is looked at, in bytes.
const LONGEST: usize = 16 << 10;
/// Longest life of a token, and how far it may be off.
const LONGEST_LIFE: Duration = Duration::seconds(3600 + 60);

/// What a platform says of one of its runs. An empty text means that it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadClaims {
    /// What the settings call the platform.
    pub issuer_name: String,
    /// The `iss` claim.
    pub issuer: String,
    /// The `sub` claim.
    pub subject: String,
    /// The repository, as the platform writes it: `acme/shop`.
    pub repository: String,
    /// The git ref: `refs/heads/main`.
    pub git_ref: String,
    /// Whether the platform protects that ref. False where it does not say.
    pub ref_protected: bool,
    /// The commit.
    pub sha: String,
    /// The deployment environment.
    pub environment: String,
    /// The run.
    pub run: String,
    /// The `jti` claim, or where there is none the SHA-256 of what is signed, in hex: to take it once.
    pub token_id: String,
    /// When the token ends.
    pub expires_at: OffsetDateTime,
}

/// Why a CI run is not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WorkloadError {
    /// No platform is set.
    #[error("no CI platform is set up here")]
    Off,
    /// More than 16 KiB.
    #[error("the token is longer than any identity token")]
    TooLong,
    /// No platform of ours.
    #[error("the token comes from a platform that is not set up here")]
    UnknownIssuer,
    /// The platform's keys cannot be fetched.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The token is not believed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It lives for more than an hour.
    #[error("the identity token lives for more than an hour")]
    TooLongLived,
    /// A claim is not as the settings require.
    #[error("the token's claim {0} is not what is required here")]
    Requirement(String),
    /// A claim that a fact is read from cannot be used.
    #[error("the token's claim {0} cannot be used")]
    Claim(String),
}

impl From<VerifyError> for WorkloadError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Provider(error) => Self::Provider(error),
            VerifyError::Token(error) => Self::Token(error),
        }
    }
}

impl WorkloadError {
    /// Stable name in records.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Off => "workloads-off",
            Self::TooLong => "token-too-long",
            Self::UnknownIssuer => "token-issuer",
            Self::Provider(error) => error.slug(),
            Self::Token(error) => error.slug(),
            Self::TooLongLived => "token-too-long-lived",
            Self::Requirement(_) => "token-requirement",
            Self::Claim(_) => "token-claim",
        }
    }

    /// What an operator must look at.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Off | Self::UnknownIssuer => "name the platform in WORKLOAD_ISSUERS",
            Self::TooLong => "send the platform's identity token alone",
            Self::Provider(error) => error.help(),
            Self::Token(error) => error.help(),
            Self::TooLongLived => "let the platform give out tokens for less than an hour, by the job's timeout",
            Self::Requirement(_) => "compare the token's claims with `require` in WORKLOAD_ISSUERS",
            Self::Claim(_) => "compare the token's claims with `claims` in WORKLOAD_ISSUERS",
        }
    }

    /// Whether the platform could not be asked, so that the same token may be believed later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Provider(ProviderError::Fetch { .. }))
    }
}

struct Platform {
    settings: WorkloadIssuer,
    provider: Provider,
}

/// The CI platforms that vouch for their runs.
pub struct Workloads(BTreeMap<String, Platform>);

impl fmt::Debug for Workloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Workloads").field(&self.0.keys()).finish()
    }
}

impl Workloads {
    /// Takes the settings. Nothing is sent yet.
    ///
    /// # Errors
    /// When they hold no usable addresses or authorities.
    pub fn new(settings: WorkloadSettings) -> Result<Self, SetupError> {
        let mut platforms = BTreeMap::new();
        for issuer in settings.issuers {
            let provider = Provider::new(&issuer.issuer, issuer.jwks_uri.as_deref(), &settings.http)?;
            platforms.insert(issuer.issuer.clone(), Platform { settings: issuer, provider });
        }
        Ok(Self(platforms))
    }

    /// Believes an identity token of a CI run, or not. The caller takes each `token_id` of an issuer once.
    ///
    /// # Errors
    /// When the token is not believed, or its platform cannot be asked.
    pub async fn verify(&self, jwt: &str, now: OffsetDateTime) -> Result<WorkloadClaims, WorkloadError> {
        if self.0.is_empty() {
            return Err(WorkloadError::Off);
        }
        if jwt.len() > LONGEST {
            return Err(WorkloadError::TooLong);
        }
        let issuer = unverified_issuer(jwt).ok_or(TokenError::Malformed)?;
        let platform = self.0.get(&issuer).ok_or(WorkloadError::UnknownIssuer)?;
        let settings = &platform.settings;
        let expected = Expected {
            audience: &settings.audience,
            max_age: Duration::seconds(settings.max_age_seconds.into()),
            purpose: Purpose::Workload,
        };
        let verified = verify(&platform.provider, jwt, &expected, now).await?;
        if verified.expires_at - verified.issued_at > LONGEST_LIFE {
            return Err(WorkloadError::TooLongLived);
        }
        facts::check_required(&verified.claims, &settings.require)?;
        claims(settings, verified, jwt)
    }
}

fn claims(settings: &WorkloadIssuer, verified: Verified, jwt: &str) -> Result<WorkloadClaims, WorkloadError> {
    let all = &verified.claims;
    let names = &settings.claims;
    let jti = facts::text(all, Some("jti"))?;
    Ok(WorkloadClaims {
        issuer_name: settings.name.clone(),
        issuer: settings.issuer.clone(),
        repository: facts::text(all, names.repository.as_deref())?,
        git_ref: facts::git_ref(all, names)?,
        ref_protected: facts::is_true(all, names.ref_protected.as_deref())?,
        sha: facts::text(all, names.sha.as_deref())?,
        environment: facts::text(all, names.environment.as_deref())?,
        run: facts::text(all, names.run.as_deref())?,
        token_id: if jti.is_empty() { digest(jwt) } else { jti },
        subject: verified.subject,
        expires_at: verified.expires_at,
    })
}

/// Of the signed part alone: one ECDSA signature is easily made into another that is right too.
fn digest(jwt: &str) -> String {
    let signed = jwt.rsplit_once('.').map_or(jwt, |(signed, _)| signed);
    hex::encode(Sha256::digest(signed))
}
