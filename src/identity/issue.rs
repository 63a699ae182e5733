//! Giving tokens out. The record comes first: a token that works is on the record.

use thiserror::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::audit::{Actor, Event, EventKind, Unavailable, Writer};
use crate::store::{CredentialKind, NewCredential, NewUser, Store, StoreError, UserRow};

use super::Token;

/// Who gives them out, with what.
#[derive(Clone, Debug)]
pub struct Issuer<'a> {
    /// Where they are kept.
    pub store: &'a Store,
    /// Where it is recorded.
    pub audit: &'a Writer,
    /// Who acts, for the record.
    pub actor: Actor,
    /// The time.
    pub now: OffsetDateTime,
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

impl Issuer<'_> {
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
            (None, Some(roles)) => self.create_user(email, roles).await?,
            (None, None) => return Err(IssueError::NoUser(email.to_owned())),
        };
        let base = self.blank(CredentialKind::Cli, name, expires_at);
        self.issue(NewCredential { user_id: Some(user.id), ..base }).await
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
        let base = self.blank(CredentialKind::Api, name, expires_at);
        self.issue(NewCredential { roles: roles.to_vec(), ..base }).await
    }

    /// Takes a token back; it stops working with the next request, everywhere.
    ///
    /// # Errors
    /// When it cannot be recorded, or when there is no such token.
    pub async fn revoke(&self, id: &str) -> Result<(), IssueError> {
        self.record("token:revoke", &[("token", id)]).await?;
        Ok(self.store.credential_revoke(id, "revoked by the operator", self.now).await.map(|_| ())?)
    }

    fn blank(&self, kind: CredentialKind, name: &str, expires_at: OffsetDateTime) -> NewCredential {
        let base = NewCredential::new(Uuid::now_v7().to_string(), kind, [0; 32], expires_at);
        NewCredential { name: name.to_owned(), created_by: Some(self.actor.id.clone()), ..base }
    }

    async fn create_user(&self, email: &str, roles: &[String]) -> Result<UserRow, IssueError> {
        let id = Uuid::now_v7().to_string();
        self.record("user:create", &[("user", &id), ("roles", &roles.join(","))]).await?;
        let new = NewUser {
            id,
            email: email.to_owned(),
            name: email.to_owned(),
            roles: roles.to_vec(),
            created_by: Some(self.actor.id.clone()),
            ..NewUser::default()
        };
        Ok(self.store.user_create(new, self.now).await?)
    }

    async fn issue(&self, mut new: NewCredential) -> Result<Token, IssueError> {
        let token = Token::generate()?;
        new.secret_hash = token.hash().0;
        let detail = [
            ("token", new.id.as_str()),
            ("token_kind", new.kind.as_str()),
            ("user", new.user_id.as_deref().unwrap_or_default()),
            ("roles", &new.roles.join(",")),
        ];
        self.record("token:create", &detail).await?;
        self.store.credential_create(new, self.now).await?;
        Ok(token)
    }

    async fn record(&self, action: &'static str, detail: &[(&str, &str)]) -> Result<(), IssueError> {
        let known = detail.iter().filter(|(_, value)| !value.is_empty());
        let event = Event {
            actor: Some(self.actor.clone()),
            detail: known.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Event::new(EventKind::Admin, "", action)
        };
        self.audit.append(event).await?;
        Ok(())
    }
}
