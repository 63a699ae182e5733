//! From a presented credential to a principal.

use secrecy::ExposeSecret;
use thiserror::Error;
use time::OffsetDateTime;

use crate::store::{Store, StoreError, TokenKind, TokenRow};

use super::{CredentialError, Presented, Token, TokenHash};

/// What kind of principal calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalType {
    /// A person.
    User,
    /// A token with roles of its own.
    ApiToken,
}

impl PrincipalType {
    /// Name of the entity type in `schema/`, and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ApiToken => "ApiToken",
        }
    }
}

/// What kind of credential proved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A token with which a person's `convox` CLI signs in.
    CliToken,
    /// A token of a machine.
    ApiToken,
}

impl CredentialKind {
    /// Name in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CliToken => "cli-token",
            Self::ApiToken => "api-token",
        }
    }
}

/// Which credential proved it; not the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRef {
    /// Its kind.
    pub kind: CredentialKind,
    /// Its id in the database.
    pub id: String,
}

/// A principal, proven by a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What kind of principal.
    pub principal: PrincipalType,
    /// Its id: never an e-mail address, which may change hands.
    pub id: String,
    /// For people, and for the rack's own log: the e-mail address, or the token's name.
    pub label: String,
    /// The e-mail address; empty for tokens.
    pub email: String,
    /// Roles given to it, before inheritance.
    pub roles: Vec<String>,
    /// Whether an administrator has locked it.
    pub locked: bool,
    /// Changes whenever anything above does.
    pub version: u64,
    /// The credential.
    pub credential: CredentialRef,
    /// When the credential ends, if it does.
    pub expires_at: Option<OffsetDateTime>,
}

impl Identity {
    /// Whether the credential still holds at this time.
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

/// Why a credential proves nothing.
#[derive(Debug, Error)]
pub enum IdentifyError {
    /// Nothing to look up.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// No such token.
    #[error("the credential is not known")]
    Unknown,
    /// It was good once.
    #[error("the credential has expired")]
    Expired,
    /// It was taken back.
    #[error("the credential was revoked")]
    Revoked,
    /// The database could not be asked.
    #[error("the database of credentials cannot be read")]
    Unavailable(#[source] StoreError),
}

impl IdentifyError {
    /// Stable name in records.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Credential(CredentialError::Missing) => "credential-missing",
            Self::Credential(CredentialError::Malformed) => "credential-malformed",
            Self::Unknown => "credential-unknown",
            Self::Expired => "credential-expired",
            Self::Revoked => "credential-revoked",
            Self::Unavailable(_) => "credential-unavailable",
        }
    }
}

/// Looks the credential up. The database is asked each time: a revoked token stops working with
/// the next request, on every replica.
///
/// # Errors
/// When it proves nothing, or when the database cannot be asked.
pub async fn identify(store: &Store, presented: &Presented, now: OffsetDateTime) -> Result<Identity, IdentifyError> {
    let token = Token::parse(presented.secret().expose_secret()).ok_or(IdentifyError::Unknown)?;
    identify_hash(store, token.hash(), now).await
}

pub(super) async fn identify_hash(
    store: &Store,
    hash: TokenHash,
    now: OffsetDateTime,
) -> Result<Identity, IdentifyError> {
    let row = store.token_find(&hash.0).await.map_err(IdentifyError::Unavailable)?;
    let row = row.ok_or(IdentifyError::Unknown)?;
    if row.revoked_at.is_some() {
        return Err(IdentifyError::Revoked);
    }
    if row.expires_at.is_some_and(|at| at <= now) {
        return Err(IdentifyError::Expired);
    }
    from_row(row)
}

fn from_row(row: TokenRow) -> Result<Identity, IdentifyError> {
    match (row.kind, row.user) {
        (TokenKind::Cli, Some(user)) => Ok(Identity {
            principal: PrincipalType::User,
            id: user.id,
            label: user.email.clone(),
            email: user.email,
            roles: user.roles,
            locked: user.locked,
            version: user.version,
            credential: CredentialRef { kind: CredentialKind::CliToken, id: row.id },
            expires_at: row.expires_at,
        }),
        (TokenKind::Api, _) => Ok(Identity {
            principal: PrincipalType::ApiToken,
            label: format!("token:{}", row.name),
            email: String::new(),
            roles: row.roles,
            locked: false,
            version: 0,
            credential: CredentialRef { kind: CredentialKind::ApiToken, id: row.id.clone() },
            expires_at: row.expires_at,
            id: row.id,
        }),
        // A person's token whose person is gone proves nobody.
        (TokenKind::Cli, None) => Err(IdentifyError::Revoked),
    }
}
