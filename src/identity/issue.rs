//! Giving tokens out and taking them back. The record comes first: a token that works is on the record.
//! Sessions begin in [`super::Arrival`].

use ipnet::IpNet;
use thiserror::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::audit::{Actor, Event, EventKind, Unavailable, Writer};
use crate::store::{CredentialKind, NewCredential, NewUser, Store, StoreError, UserRow};

use super::Token;

/// Gives credentials out, for one actor at one time.
#[derive(Clone, Debug)]
pub struct Issuer<'a> {
    store: &'a Store,
    /// Where to record; none where the caller has done so.
    audit: Option<&'a Writer>,
    pub(super) actor: Actor,
    /// The time.
    pub now: OffsetDateTime,
}

/// A credential that was given out.
#[derive(Debug)]
pub struct Issued {
    /// Its id.
    pub id: String,
    /// Its secret, to be shown once.
    pub token: Token,
    /// From when on it is refused, used or not.
    pub expires_at: OffsetDateTime,
}

/// What an API token shall be.
#[derive(Clone, Debug)]
pub struct ApiTokenRequest {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Its own roles.
    pub roles: Vec<String>,
    /// From when on it is refused.
    pub expires_at: OffsetDateTime,
    /// The only network it is good from.
    pub network: Option<IpNet>,
    /// The only apps it is good for; empty for all.
    pub apps: Vec<String>,
}

/// Why no token was given out.
#[derive(Debug, Error)]
pub enum IssueError {
    /// The record cannot be written.
    #[error("the audit log cannot be written: {0}")]
    Audit(#[from] Unavailable),
    /// The database refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system has no randomness.
    #[error("no randomness: {0}")]
    Random(#[from] rand::rngs::SysError),
    /// The token is for nobody.
    #[error("there is no user {0}: name roles for a new one")]
    NoUser(String),
}

impl<'a> Issuer<'a> {
    /// For whoever acts outside of any request, such as the command line: each credential is recorded
    /// before it works.
    #[must_use]
    pub const fn recording(store: &'a Store, audit: &'a Writer, actor: Actor, now: OffsetDateTime) -> Self {
        Self { store, audit: Some(audit), actor, now }
    }

    /// For a request whose intent, and what it changes, is on the record already.
    #[must_use]
    pub const fn recorded(store: &'a Store, actor: Actor, now: OffsetDateTime) -> Self {
        Self { store, audit: None, actor, now }
    }

    /// Gives a person a token for the `convox` CLI. A person who is not known yet is created when
    /// roles are given.
    ///
    /// # Errors
    /// When it cannot be recorded or kept; then no token works.
    pub async fn cli_token(
        &self,
        email: &str,
        name: &str,
        roles: Option<&[String]>,
        expires_at: OffsetDateTime,
    ) -> Result<Token, IssueError> {
        let user = match (self.store.user_find_by_email(email).await?, roles) {
            (Some(user), _) => user,
            (None, Some(roles)) => self.create_user(email, email, roles).await?,
            (None, None) => return Err(IssueError::NoUser(email.to_owned())),
        };
        let base = self.blank(CredentialKind::Cli, name, expires_at);
        Ok(self.issue(NewCredential { user_id: Some(user.id), ..base }).await?.token)
    }

    /// Makes a token that is a principal of its own, with roles of its own.
    ///
    /// # Errors
    /// When it cannot be recorded or kept; then no token works.
    pub async fn api_token(
        &self,
        name: &str,
        roles: &[String],
        expires_at: OffsetDateTime,
    ) -> Result<Token, IssueError> {
        let (name, roles) = (name.to_owned(), roles.to_vec());
        let id = Uuid::now_v7().to_string();
        let request = ApiTokenRequest { id, name, roles, expires_at, network: None, apps: Vec::new() };
        Ok(self.limited_api_token(request).await?.token)
    }

    /// The same with limits.
    ///
    /// # Errors
    /// As [`Issuer::api_token`].
    pub async fn limited_api_token(&self, request: ApiTokenRequest) -> Result<Issued, IssueError> {
        let base = self.blank(CredentialKind::Api, &request.name, request.expires_at);
        let ApiTokenRequest { id, name: _, roles, expires_at: _, network, apps } = request;
        self.issue(NewCredential { id, roles, network, apps, ..base }).await
    }

    /// Gives an API token that is in the version `version` another secret. The one that it has is good
    /// until `overlap_until`.
    ///
    /// # Errors
    /// When it cannot be recorded, or is not there in that version.
    pub async fn rotate(
        &self,
        id: &str,
        overlap_until: OffsetDateTime,
        version: u64,
    ) -> Result<(Token, u64), IssueError> {
        let token = Token::generate()?;
        self.record("token:rotate", &[("token", id)]).await?;
        let row = self.store.credential_rotate(id, &token.hash().0, overlap_until, version).await?;
        Ok((token, row.version))
    }

    /// Takes a token back; it stops working with the next request, everywhere.
    ///
    /// # Errors
    /// When it cannot be recorded, or when there is no such token.
    pub async fn revoke(&self, id: &str) -> Result<(), IssueError> {
        self.record("token:revoke", &[("token", id)]).await?;
        Ok(self.store.credential_revoke(id, "revoked by the operator", self.now).await.map(|_| ())?)
    }

    /// Adds a person.
    ///
    /// # Errors
    /// When it cannot be recorded, or when the address is taken.
    pub async fn create_user(&self, email: &str, name: &str, roles: &[String]) -> Result<UserRow, IssueError> {
        let id = Uuid::now_v7().to_string();
        let detail = [("user", id.as_str()), ("email", email), ("roles", &roles.join(","))];
        self.record("user:create", &detail).await?;
        let new = NewUser {
            id,
            email: email.to_owned(),
            name: name.to_owned(),
            roles: roles.to_vec(),
            created_by: Some(self.actor.id.clone()),
            ..NewUser::default()
        };
        Ok(self.store.user_create(new, self.now).await?)
    }

    /// The database.
    #[must_use]
    pub const fn store(&self) -> &Store {
        self.store
    }

    fn blank(&self, kind: CredentialKind, name: &str, expires_at: OffsetDateTime) -> NewCredential {
        let base = NewCredential::new(Uuid::now_v7().to_string(), kind, [0; 32], expires_at);
        NewCredential { name: name.to_owned(), created_by: Some(self.actor.id.clone()), ..base }
    }

    async fn issue(&self, mut new: NewCredential) -> Result<Issued, IssueError> {
        let token = Token::generate()?;
        new.secret_hash = token.hash().0;
        let detail = [
            ("token", new.id.as_str()),
            ("token_kind", new.kind.as_str()),
            ("user", new.user_id.as_deref().unwrap_or_default()),
            ("roles", &new.roles.join(",")),
        ];
        self.record("token:create", &detail).await?;
        let (id, expires_at) = (new.id.clone(), new.expires_at);
        self.store.credential_create(new, self.now).await?;
        Ok(Issued { id, token, expires_at })
    }

    pub(super) async fn record(&self, action: &'static str, detail: &[(&str, &str)]) -> Result<(), IssueError> {
        let Some(audit) = self.audit else { return Ok(()) };
        let known = detail.iter().filter(|(_, value)| !value.is_empty());
        let mut event = Event { actor: Some(self.actor.clone()), ..Event::new(EventKind::Admin, "", action) };
        event.tell(known.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        audit.append(event).await?;
        Ok(())
    }
}
