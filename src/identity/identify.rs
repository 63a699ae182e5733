//! From a presented credential to a principal.

use std::time::Duration;

use ipnet::IpNet;
use thiserror::Error;
use time::OffsetDateTime;

use crate::store::{CredentialKind, CredentialRow, Store, StoreError, UserRow};

use super::{Assurance, CredentialError, Presented, TokenHash, Transport, Workload};

/// What kind of principal calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalType {
    /// A person.
    User,
    /// A token with roles of its own.
    ApiToken,
    /// A run in CI.
    Workload,
}

impl PrincipalType {
    /// Name of the entity type in `schema/`, and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ApiToken => "ApiToken",
            Self::Workload => "Workload",
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

/// A principal, proven by a credential. Equal to another one if the same follows from both: when the
/// credential was last used does not count.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What kind of principal.
    pub principal: PrincipalType,
    /// Its id: never an e-mail address, which may change hands.
    pub id: String,
    /// For people, and for the rack's own log: the e-mail address, or the token's name.
    pub label: String,
    /// The e-mail address; empty for tokens.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Roles given to it, before inheritance.
    pub roles: Vec<String>,
    /// Groups at the identity provider; only people have any.
    pub groups: Vec<String>,
    /// Whether an administrator has locked it.
    pub locked: bool,
    /// Changes whenever anything above does.
    pub version: u64,
    /// The credential.
    pub credential: CredentialRef,
    /// When the credential ends, used or not.
    pub expires_at: OffsetDateTime,
    /// After how long without use it ends as well.
    pub idle: Option<Duration>,
    /// When it was last used, as far as the database knew when this was read.
    pub last_used_at: OffsetDateTime,
    /// The only network that the credential is good from.
    pub network: Option<IpNet>,
    /// The only apps that it is good for; empty for all.
    pub apps: Vec<String>,
    /// Verified claims about a run in CI.
    pub workload: Option<Workload>,
    /// What was shown of second factors.
    pub assurance: Assurance,
}

impl Identity {
    /// Whether the credential still holds at this time: neither at its end, nor idle for too long.
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.expires_at > now && !self.is_idle(self.last_used_at, now)
    }

    /// Whether the credential may come that way: a browser's session in the browser's cookie alone, and
    /// everything else only where a program put it. A cookie that leaked is no key for a CLI.
    #[must_use]
    pub fn fits(&self, presented: &Presented) -> bool {
        let way = match self.credential.kind {
            CredentialKind::Web => Transport::Cookie,
            CredentialKind::Cli | CredentialKind::Api | CredentialKind::Workload => Transport::Header,
        };
        presented.transport() == way
    }

    /// Whether it has ended for want of use, if `used` was the last time.
    pub(super) fn is_idle(&self, used: OffsetDateTime, now: OffsetDateTime) -> bool {
        self.idle.is_some_and(|idle| now - used >= idle)
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            principal,
            id,
            label,
            email,
            name,
            roles,
            groups,
            locked,
            version,
            credential,
            expires_at,
            idle,
            last_used_at: _,
            network,
            apps,
            workload,
            assurance,
        } = self;
        (principal, id, label, email, name) == (&other.principal, &other.id, &other.label, &other.email, &other.name)
            && (roles, groups, locked, version) == (&other.roles, &other.groups, &other.locked, &other.version)
            && (credential, expires_at, idle) == (&other.credential, &other.expires_at, &other.idle)
            && (network, apps, workload) == (&other.network, &other.apps, &other.workload)
            && assurance == &other.assurance
    }
}

impl Eq for Identity {}

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

/// Looks a credential up by its hash; `required` says whether everybody must have a second factor.
pub(super) async fn identify_hash(
    store: &Store,
    hash: TokenHash,
    required: bool,
    now: OffsetDateTime,
) -> Result<Identity, IdentifyError> {
    let row = store.credential_find(&hash.0).await.map_err(IdentifyError::Unavailable)?;
    let row = row.ok_or(IdentifyError::Unknown)?;
    if row.revoked_at.is_some() {
        return Err(IdentifyError::Revoked);
    }
    let identity = from_row(row, required)?;
    if identity.is_live(now) { Ok(identity) } else { Err(IdentifyError::Expired) }
}

fn from_row(row: CredentialRow, required: bool) -> Result<Identity, IdentifyError> {
    // A secret that was replaced is good for the overlap only.
    let expires_at = match (row.is_previous, row.previous_until) {
        (true, Some(until)) => row.expires_at.min(until),
        (true, None) => return Err(IdentifyError::Expired),
        (false, _) => row.expires_at,
    };
    let workload = Workload::of(&row).map_err(IdentifyError::Unavailable)?;
    let own = Identity {
        assurance: Assurance::of(&row, required),
        principal: PrincipalType::ApiToken,
        label: format!("{}:{}", if workload.is_some() { "workload" } else { "token" }, row.name),
        email: String::new(),
        name: row.name,
        roles: row.roles,
        groups: Vec::new(),
        locked: false,
        version: row.version,
        credential: CredentialRef { kind: row.kind, id: row.id.clone() },
        expires_at,
        idle: row.idle,
        last_used_at: row.last_used_at,
        network: row.network,
        apps: row.apps,
        workload,
        id: row.id,
    };
    match (row.kind, row.user) {
        (CredentialKind::Web | CredentialKind::Cli, Some(user)) => Ok(of_person(own, user)),
        // A person's session whose person is gone proves nobody.
        (CredentialKind::Web | CredentialKind::Cli, None) => Err(IdentifyError::Revoked),
        (CredentialKind::Api, _) => Ok(own),
        (CredentialKind::Workload, _) => Ok(Identity { principal: PrincipalType::Workload, ..own }),
    }
}

fn of_person(session: Identity, user: UserRow) -> Identity {
    Identity {
        principal: PrincipalType::User,
        locked: user.is_locked(),
        id: user.id,
        label: user.email.clone(),
        email: user.email,
        name: user.name,
        roles: user.roles,
        groups: user.groups,
        version: user.version,
        ..session
    }
}
