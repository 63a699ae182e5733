//! Sign-ins under way: those of browsers at the identity provider, and those that a command-line client
//! waits for. Each leads to one session at most.

use std::fmt;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use time::OffsetDateTime;

use super::append::hash;
use super::value::second;
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "logins")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub state_hash: Vec<u8>,
        pub browser_hash: Vec<u8>,
        pub nonce: String,
        pub sealed_verifier: String,
        pub channel: String,
        pub return_to: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub expires_at: TimeDateTimeWithTimeZone,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl fmt::Debug for entity::Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a sign-in is for, and so which callback ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginChannel {
    /// A browser session.
    Web,
    /// The approval of a command-line client.
    Cli,
}

impl LoginChannel {
    /// The word that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Cli => "cli",
        }
    }
}

/// A sign-in of a browser.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginRow {
    /// Its id, a UUID.
    pub id: String,
    /// SHA-256 of the `state` (RFC 6749 §10.12).
    pub state_hash: [u8; 32],
    /// SHA-256 of what the browser keeps meanwhile, so that nobody else's browser can end it.
    pub browser_hash: [u8; 32],
    /// The `nonce` that the ID token must carry (OpenID Connect Core 1.0 §3.1.2.1).
    pub nonce: String,
    /// The PKCE verifier (RFC 7636), sealed.
    pub sealed_verifier: String,
    /// What it is for.
    pub channel: LoginChannel,
    /// Where the browser goes afterwards.
    pub return_to: String,
    /// From when on it is refused.
    pub expires_at: OffsetDateTime,
}

/// A sign-in to begin.
pub type NewLogin = LoginRow;

impl fmt::Debug for LoginRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRow").field("id", &self.id).field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl TryFrom<entity::Model> for LoginRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let channel = match row.channel.as_str() {
            "web" => LoginChannel::Web,
            "cli" => LoginChannel::Cli,
            _ => return Err(StoreError::Corrupt("a sign-in is of no known channel".to_owned())),
        };
        Ok(Self {
            state_hash: hash(&row.state_hash)?,
            browser_hash: hash(&row.browser_hash)?,
            channel,
            id: row.id,
            nonce: row.nonce,
            sealed_verifier: row.sealed_verifier,
            return_to: row.return_to,
            expires_at: row.expires_at,
        })
    }
}

impl Store {
    /// Begins a sign-in.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the state exists; [`StoreError::Unavailable`].
    pub async fn login_begin(&self, new: NewLogin, now: OffsetDateTime) -> Result<(), StoreError> {
        let insert = entity::ActiveModel {
            id: Set(new.id),
            state_hash: Set(new.state_hash.to_vec()),
            browser_hash: Set(new.browser_hash.to_vec()),
            nonce: Set(new.nonce),
            sealed_verifier: Set(new.sealed_verifier),
            channel: Set(new.channel.as_str().to_owned()),
            return_to: Set(new.return_to),
            created_at: Set(second(now)),
            expires_at: Set(second(new.expires_at)),
        };
        let db = self.inner.write.clone();
        self.run(async move { Ok(entity::Entity::insert(insert).exec_without_returning(&db).await.map(|_| ())?) }).await
    }

    /// Takes a sign-in out, for good: of several callers one gets it, and nobody one that is over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn login_take(&self, state_hash: &[u8; 32], now: OffsetDateTime) -> Result<Option<LoginRow>, StoreError> {
        let delete = entity::Entity::delete_many().filter(entity::Column::StateHash.eq(state_hash.to_vec()));
        let db = self.inner.write.clone();
        self.run(async move {
            let row = delete.exec_with_returning(&db).await?.into_iter().next();
            row.filter(|row| row.expires_at > now).map(LoginRow::try_from).transpose()
        })
        .await
    }
}
