//! The one way in which a token of a provider is believed, for people and for CI runs alike.

use std::fmt;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreGenderClaim, CoreIdTokenVerifier, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, EmptyAdditionalClaims, IdToken, IssuerUrl, Nonce,
    SignatureVerificationError,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::provider::{Provider, ProviderError, Snapshot};

/// How far two clocks may differ.
pub(crate) const LEEWAY: Duration = Duration::seconds(60);

/// Why a token of a provider is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Not a signed JWT, or a claim that must be there is missing or of another type.
    #[error("the identity token cannot be read")]
    Malformed,
    /// A header that says that it is something else (RFC 8725 §3.11).
    #[error("the identity token is of another kind than expected")]
    Type,
    /// Not signed with RS256, ES256 or EdDSA.
    #[error("the identity token is not signed with RS256, ES256 or EdDSA")]
    Algorithm,
    /// Signed with a key that the provider does not publish.
    #[error("the identity token is signed with a key that the provider does not publish")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the signature of the identity token is wrong")]
    Signature,
    /// `iss`.
    #[error("the identity token comes from another issuer")]
    Issuer,
    /// `aud`.
    #[error("the identity token is meant for somebody else")]
    Audience,
    /// `azp`.
    #[error("the identity token was given to another party")]
    Party,
    /// `exp`.
    #[error("the identity token has expired")]
    Expired,
    /// `iat` or `nbf`.
    #[error("the identity token is from the future")]
    NotYet,
    /// `iat`.
    #[error("the identity token is too old")]
    TooOld,
    /// `nonce`.
    #[error("the identity token belongs to another sign-in")]
    Nonce,
    /// `at_hash`.
    #[error("the identity token belongs to another access token")]
    AccessToken,
}

/// What a token must say.
pub(crate) struct Expected<'a> {
    pub(crate) audience: &'a str,
    /// Longest time since `iat`.
    pub(crate) max_age: Duration,
    pub(crate) purpose: Purpose<'a>,
}

/// What a token is for.
pub(crate) enum Purpose<'a> {
    /// A person signs in: OpenID Connect Core 1.0 §3.1.3.7.
    SignIn { nonce: &'a SecretString, access_token: &'a SecretString },
    /// A CI run says who it is; the token is for us alone.
    Workload,
}

/// What a token said, believed.
pub(crate) struct Verified {
    pub(crate) subject: String,
    pub(crate) issued_at: OffsetDateTime,
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) claims: Map<String, Value>,
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a token was not believed, or could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

type Jwt = IdToken<EmptyAdditionalClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// Verifies a token with the keys of its provider, and with its newer keys when it names one that is
/// not known.
pub(crate) async fn verify(
    provider: &Provider,
    text: &str,
    expected: &Expected<'_>,
    now: OffsetDateTime,
) -> Result<Verified, VerifyError> {
    let snapshot = provider.current(now).await?;
    let first = verify_with(provider.issuer(), &snapshot, text, expected, now);
    if first.as_ref().err() != Some(&TokenError::UnknownKey) {
        return Ok(first?);
    }
    match provider.newer(&snapshot, now).await? {
        Some(newer) => Ok(verify_with(provider.issuer(), &newer, text, expected, now)?),
        None => Ok(first?),
    }
}

fn verify_with(
    issuer: &str,
    snapshot: &Arc<Snapshot>,
    text: &str,
    expected: &Expected<'_>,
    now: OffsetDateTime,
) -> Result<Verified, TokenError> {
    if !is_canonical(text) {
        return Err(TokenError::Malformed);
    }
    let jwt = Jwt::from_str(text).map_err(|_| TokenError::Malformed)?;
    let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|_| TokenError::Issuer)?;
    let earliest = SystemTime::from(now - LEEWAY);
    let audience = ClientId::new(expected.audience.to_owned());
    let mut verifier = CoreIdTokenVerifier::new_public_client(audience, issuer, snapshot.keys.clone())
        .set_allowed_algs([
            CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            CoreJwsSigningAlgorithm::EcdsaP256Sha256,
            CoreJwsSigningAlgorithm::EdDsa,
        ])
        .set_time_fn(move || earliest.into());
    if matches!(expected.purpose, Purpose::SignIn { .. }) {
        // Others may be named beside us, if the token was given to us: see `check_party`.
        verifier = verifier.set_other_audience_verifier_fn(|_| true);
    }
    let nonce = |found: Option<&Nonce>| match &expected.purpose {
        Purpose::SignIn { nonce, .. } => check_nonce(found, nonce),
        Purpose::Workload => Ok(()),
    };
    let claims = jwt.claims(&verifier, nonce).map_err(|error| reason(&error))?;
    let all = payload(text)?;
    if let Purpose::SignIn { access_token, .. } = &expected.purpose {
        check_party(claims.audiences().len(), all.get("azp"), expected.audience)?;
        check_access_token(&jwt, &verifier, claims.access_token_hash(), access_token)?;
    }
    let issued_at = time(claims.issue_time().timestamp())?;
    check_times(issued_at, all.get("nbf"), expected.max_age, now)?;
    let subject = claims.subject().to_string();
    if subject.is_empty() || subject.len() > 255 {
        return Err(TokenError::Malformed);
    }
    Ok(Verified { subject, issued_at, expires_at: time(claims.expiration().timestamp())?, claims: all })
}

fn reason(error: &ClaimsVerificationError) -> TokenError {
    use SignatureVerificationError as Signature;
    match error {
        ClaimsVerificationError::Expired(_) => TokenError::Expired,
        ClaimsVerificationError::InvalidAudience(_) => TokenError::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => TokenError::Issuer,
        ClaimsVerificationError::InvalidNonce(_) => TokenError::Nonce,
        ClaimsVerificationError::Unsupported(_) => TokenError::Type,
        ClaimsVerificationError::SignatureVerification(Signature::NoMatchingKey) => TokenError::UnknownKey,
        ClaimsVerificationError::SignatureVerification(
            Signature::DisallowedAlg(_) | Signature::NoSignature | Signature::UnsupportedAlg(_),
        ) => TokenError::Algorithm,
        ClaimsVerificationError::SignatureVerification(_) => TokenError::Signature,
        _ => TokenError::Malformed,
    }
}

fn check_nonce(found: Option<&Nonce>, expected: &SecretString) -> Result<(), String> {
    let found = found.map_or("", |nonce| nonce.secret());
    let same = found.as_bytes().ct_eq(expected.expose_secret().as_bytes());
    if !found.is_empty() && bool::from(same) { Ok(()) } else { Err("nonce".to_owned()) }
}

/// OpenID Connect Core 1.0 §3.1.3.7, 4 and 5: with several audiences it must be said to whom the
/// token was given, and that must be us.
fn check_party(audiences: usize, party: Option<&Value>, client_id: &str) -> Result<(), TokenError> {
    match party {
        None if audiences == 1 => Ok(()),
        Some(Value::String(party)) if party == client_id => Ok(()),
        None | Some(_) => Err(TokenError::Party),
    }
}

/// OpenID Connect Core 1.0 §3.1.3.8.
fn check_access_token(
    jwt: &Jwt,
    verifier: &CoreIdTokenVerifier<'_>,
    found: Option<&AccessTokenHash>,
    access_token: &SecretString,
) -> Result<(), TokenError> {
    let Some(found) = found else { return Ok(()) };
    let access_token = AccessToken::new(access_token.expose_secret().to_owned());
    let algorithm = jwt.signing_alg().map_err(|_| TokenError::Algorithm)?;
    let key = jwt.signing_key(verifier).map_err(|_| TokenError::UnknownKey)?;
    let expected = AccessTokenHash::from_token(&access_token, algorithm, key).map_err(|_| TokenError::Algorithm)?;
    if bool::from(found.as_bytes().ct_eq(expected.as_bytes())) { Ok(()) } else { Err(TokenError::AccessToken) }
}

fn check_times(
    issued_at: OffsetDateTime,
    not_before: Option<&Value>,
    max_age: Duration,
    now: OffsetDateTime,
) -> Result<(), TokenError> {
    let not_before = not_before.map(|value| value.as_i64().ok_or(TokenError::Malformed)).transpose()?;
    let latest = now + LEEWAY;
    if issued_at > latest || not_before.is_some_and(|at| at > latest.unix_timestamp()) {
        return Err(TokenError::NotYet);
    }
    if issued_at < now - max_age - LEEWAY { Err(TokenError::TooOld) } else { Ok(()) }
}

fn time(seconds: i64) -> Result<OffsetDateTime, TokenError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| TokenError::Malformed)
}

/// Whether no other text means the same: the library forgives padding and odd last bits.
fn is_canonical(text: &str) -> bool {
    text.split('.').count() == 3 && text.split('.').all(|part| URL_SAFE_NO_PAD.decode(part).is_ok())
}

/// All claims of a token whose signature was verified.
fn payload(text: &str) -> Result<Map<String, Value>, TokenError> {
    let encoded = text.split('.').nth(1).ok_or(TokenError::Malformed)?;
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

/// The issuer that a token names, before anything is believed: to choose whose keys to verify it with.
pub(crate) fn unverified_issuer(text: &str) -> Option<String> {
    match payload(text).ok()?.remove("iss")? {
        Value::String(issuer) => Some(issuer),
        _ => None,
    }
}
