//! Why nobody was signed in, for the person, and what an operator must look at.

use thiserror::Error;

use super::http::FetchError;
use super::jwt::{TokenError, VerifyError};
use super::provider::ProviderError;

/// Longest text of a provider that is repeated, in characters.
const LONGEST: usize = 200;

/// Text of a provider, made fit to be shown: short, and without characters that do not print. It is
/// still a stranger's text: a page escapes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told(String);

impl Told {
    /// Takes what was said.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
        let mut told: String = text.chars().take(LONGEST).map(printable).collect();
        if text.chars().nth(LONGEST).is_some() {
            told.push_str("...");
        }
        Self(told)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why nobody was signed in. Nothing in it is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OidcError {
    /// Nothing is known of the provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The provider sent the person back with an error (RFC 6749 §4.1.2.1).
    #[error("the identity provider refused the sign-in: {error} ({description})")]
    Refused {
        /// Its word for it.
        error: Told,
        /// Its explanation.
        description: Told,
    },
    /// The answer came from another issuer than asked (RFC 9207 §2.4), or did not say from whom.
    #[error("the sign-in was answered by another identity provider than was asked")]
    AnsweredByAnother,
    /// The provider does not take the code (RFC 6749 §5.2).
    #[error("the identity provider did not accept the code: {error} ({description})")]
    CodeRefused {
        /// Its word for it.
        error: Told,
        /// Its explanation.
        description: Told,
    },
    /// No answer to the code.
    #[error("the identity provider was asked for the identity: {0}")]
    NoAnswer(FetchError),
    /// An answer without an identity token that can be read, or that is no bearer token.
    #[error("the answer of the identity provider to the code cannot be used")]
    Answer,
    /// The identity token is not believed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The user info endpoint does not answer.
    #[error("the identity provider was asked about the person: {0}")]
    UserInfo(FetchError),
    /// It answers about somebody else (OpenID Connect Core 1.0 §5.3.2).
    #[error("the identity provider answered about another person")]
    AnotherPerson,
    /// No e-mail address, or none that is one.
    #[error("the identity provider names no e-mail address")]
    NoEmail,
    /// The provider does not vouch for the address.
    #[error("the e-mail address is not verified")]
    EmailUnverified,
    /// An address of a domain that is not allowed.
    #[error("e-mail addresses of {0} may not sign in here")]
    Domain(Told),
    /// The account does not belong to an organisation that is allowed.
    #[error("the account does not belong to an organisation that may sign in here")]
    Organisation,
    /// More groups, or longer ones, than are taken, or no list of names.
    #[error("the groups of the person cannot be used: {0}")]
    Groups(&'static str),
}

impl From<VerifyError> for OidcError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Provider(error) => Self::Provider(error),
            VerifyError::Token(error) => Self::Token(error),
        }
    }
}

impl OidcError {
    /// What a provider sent a person back with instead of a code.
    #[must_use]
    pub fn refused(error: &str, description: Option<&str>) -> Self {
        Self::Refused { error: Told::new(error), description: Told::new(description.unwrap_or("no reason given")) }
    }

    /// Stable name in records.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Provider(error) => error.slug(),
            Self::Refused { .. } => "provider-refused",
            Self::AnsweredByAnother => "provider-mixed-up",
            Self::CodeRefused { .. } => "code-refused",
            Self::NoAnswer(_) => "token-endpoint-unreachable",
            Self::Answer => "token-answer-unusable",
            Self::Token(error) => error.slug(),
            Self::UserInfo(_) => "userinfo-unreachable",
            Self::AnotherPerson => "userinfo-of-another",
            Self::NoEmail => "email-missing",
            Self::EmailUnverified => "email-unverified",
            Self::Domain(_) => "email-domain",
            Self::Organisation => "organisation",
            Self::Groups(_) => "groups-unusable",
        }
    }

    /// What an operator must look at.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::Provider(error) => error.help(),
            Self::Refused { error, .. } => refused_help(error.as_str()),
            Self::AnsweredByAnother => {
                "the person may have been sent here by somebody else: sign in again; if it stays, compare \
                 OIDC_ISSUER with the issuer that the provider publishes"
            }
            Self::CodeRefused { error, .. } => refused_help(error.as_str()),
            Self::NoAnswer(_) | Self::UserInfo(_) => {
                "check that the gateway may reach the provider's address over https, and OIDC_CA_FILE"
            }
            Self::Answer => "check that the scopes contain openid and that the provider answers with an ID token",
            Self::Token(error) => error.help(),
            Self::AnotherPerson => "the provider is broken or attacked: tell those who run it",
            Self::NoEmail => "let the provider put the e-mail address into the ID token or the user info (scope email)",
            Self::EmailUnverified => {
                "the person must verify the e-mail address at the provider; a directory that knows its addresses to \
                 be right must say so with email_verified"
            }
            Self::Domain(_) => "if they should be let in, add the domain to the allowed domains in the settings",
            Self::Organisation => "the person must use the account of the organisation, not a private one",
            Self::Groups(_) => {
                "let the provider list fewer groups, as names, or name another claim in OIDC_GROUPS_CLAIM"
            }
        }
    }
}

fn refused_help(error: &str) -> &'static str {
    match error {
        "access_denied" => "the person declined, or the provider does not let them use this application",
        "invalid_client" | "unauthorized_client" => {
            "compare the client id and the client secret with those that the provider gave out"
        }
        "invalid_grant" => {
            "the code was used before, or has expired, or belongs to another redirect address: sign in again; if it \
             stays, compare DOMAIN with the redirect address registered at the provider"
        }
        "redirect_uri_mismatch" | "invalid_request" => {
            "register https://DOMAIN/api/v1/auth/web/callback and https://DOMAIN/api/v1/auth/cli/callback at the \
             provider, with the DOMAIN of the settings"
        }
        "invalid_scope" => "ask only for scopes that the provider has: OIDC_SCOPES",
        "server_error" | "temporarily_unavailable" => "the provider has a problem: sign in again later",
        _ => "look up the provider's word for it in its own log",
    }
}

impl ProviderError {
    /// Stable name in records.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "provider-unreachable",
            Self::OtherIssuer { .. } => "provider-other-issuer",
            Self::Lacks(_) => "provider-incomplete",
        }
    }

    /// What an operator must look at.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => {
                "check the issuer in the settings, that the gateway may reach that address over https, and \
                 OIDC_CA_FILE; it is tried again by itself"
            }
            Self::OtherIssuer { .. } => {
                "write the issuer in the settings exactly as the provider's discovery document does, slashes included"
            }
            Self::Lacks(_) => "check that the issuer is an OpenID provider with the code flow",
        }
    }
}

impl TokenError {
    /// Stable name in records.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Malformed => "token-malformed",
            Self::Type => "token-type",
            Self::Algorithm => "token-algorithm",
            Self::UnknownKey => "token-key",
            Self::Signature => "token-signature",
            Self::Issuer => "token-issuer",
            Self::Audience => "token-audience",
            Self::Party => "token-party",
            Self::Expired => "token-expired",
            Self::NotYet => "token-from-the-future",
            Self::TooOld => "token-too-old",
            Self::Nonce => "token-nonce",
            Self::AccessToken => "token-access-hash",
        }
    }

    /// What an operator must look at.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Malformed | Self::Type => "the token must be a signed identity token, not an access token",
            Self::Algorithm => "let the provider sign identity tokens with RS256, ES256 or EdDSA",
            Self::UnknownKey | Self::Signature => {
                "check that the issuer in the settings is the one that made the token"
            }
            Self::Issuer => "write the issuer in the settings exactly as the provider does, slashes included",
            Self::Audience | Self::Party => {
                "compare the client id or the audience in the settings with what the token was asked for"
            }
            Self::Expired | Self::NotYet | Self::TooOld => {
                "compare the clocks of the gateway and the provider; then try again with a new token"
            }
            Self::Nonce => "sign in again, in one window; do not go back to an older page",
            Self::AccessToken => "the provider is broken or attacked: tell those who run it",
        }
    }
}
