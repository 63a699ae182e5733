//! Giving tokens out. The record comes first: a token that works is on the record.

use thiserror::Error;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::audit::{Actor, Event, EventKind, Unavailable, Writer};
use crate::store::{NewToken, NewUser, Store, StoreError, TokenKind, UserRow};

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
        expires_at: Option<OffsetDateTime>,
    ) -> Result<Token, IssueError> {
        let user = match (self.store.user_find_by_email(email).await?, roles) {
            (Some(user), _) => user,
            (None, Some(roles)) => self.create_user(email, roles).await?,
            (None, None) => return Err(IssueError::NoUser(email.to_owned())),
        };
        let new = NewToken {
            id: Uuid::now_v7().to_string(),
            kind: TokenKind::Cli,
            name: name.to_owned(),
            user_id: Some(user.id),
            roles: Vec::new(),
            secret_hash: [0; 32],
            expires_at,
        };
        self.issue(new).await
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
        let new = NewToken {
            id: Uuid::now_v7().to_string(),
            kind: TokenKind::Api,
            name: name.to_owned(),
            user_id: None,
            roles: roles.to_vec(),
            secret_hash: [0; 32],
            expires_at: Some(expires_at),
        };
        self.issue(new).await
    }

    /// Takes a token back; it stops working with the next request, everywhere.
    ///
    /// # Errors
    /// When it cannot be recorded, or when there is no such token.
    pub async fn revoke(&self, id: &str) -> Result<(), IssueError> {
        self.record("token:revoke", &[("token", id)]).await?;
        Ok(self.store.token_revoke(id, self.now).await?)
    }

    async fn create_user(&self, email: &str, roles: &[String]) -> Result<UserRow, IssueError> {
        let id = Uuid::now_v7().to_string();
        self.record("user:create", &[("user", &id), ("roles", &roles.join(","))]).await?;
        let new = NewUser { id, email: email.to_owned(), name: email.to_owned(), roles: roles.to_vec() };
        Ok(self.store.user_create(new, self.now).await?)
    }

    async fn issue(&self, mut new: NewToken) -> Result<Token, IssueError> {
        let token = Token::generate()?;
        new.secret_hash = token.hash().0;
        let kind = match new.kind {
            TokenKind::Cli => "cli",
            TokenKind::Api => "api",
        };
        let detail = [
            ("token", new.id.as_str()),
            ("token_kind", kind),
            ("user", new.user_id.as_deref().unwrap_or_default()),
            ("roles", &new.roles.join(",")),
        ];
        self.record("token:create", &detail).await?;
        self.store.token_create(new, self.now).await?;
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
