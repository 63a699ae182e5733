//! Tokens: a person's (`cli`) and a machine's own (`api`). Only hashes of secrets are stored.

use std::fmt;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{ExprTrait as _, QueryOrder as _};
use time::OffsetDateTime;

use super::append::loaded;
use super::user::{self, UserRow, roles_from, roles_text};
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tokens")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub kind: String,
        pub name: String,
        pub user_id: Option<String>,
        pub roles: String,
        pub secret_hash: Vec<u8>,
        pub created_at: TimeDateTimeWithTimeZone,
        pub expires_at: Option<TimeDateTimeWithTimeZone>,
        pub revoked_at: Option<TimeDateTimeWithTimeZone>,
        pub last_used_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {
        #[sea_orm(
            belongs_to = "crate::store::user::entity::Entity",
            from = "Column::UserId",
            to = "crate::store::user::entity::Column::Id"
        )]
        User,
    }

    impl Related<crate::store::user::entity::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::User.def()
        }
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Whose rights a token carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Those of the person who made it.
    Cli,
    /// Its own.
    Api,
}

impl TokenKind {
    /// The word that is stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Api => "api",
        }
    }
}

/// A token, as stored. The hash of its secret stays in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id, a UUID.
    pub id: String,
    /// Whose rights it carries.
    pub kind: TokenKind,
    /// Name for people.
    pub name: String,
    /// Its own roles, for [`TokenKind::Api`].
    pub roles: Vec<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when on it is refused.
    pub expires_at: Option<OffsetDateTime>,
    /// Since when it is refused.
    pub revoked_at: Option<OffsetDateTime>,
    /// When it was last seen, roughly.
    pub last_used_at: Option<OffsetDateTime>,
    /// Who made it; for [`TokenKind::Cli`], whom it acts as.
    pub user: Option<UserRow>,
}

/// A token to add.
#[derive(Clone)]
pub struct NewToken {
    /// Its id, a UUID.
    pub id: String,
    /// Whose rights it carries.
    pub kind: TokenKind,
    /// Name for people.
    pub name: String,
    /// Who makes it; needed for [`TokenKind::Cli`].
    pub user_id: Option<String>,
    /// Its own roles, for [`TokenKind::Api`].
    pub roles: Vec<String>,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// From when on it is refused.
    pub expires_at: Option<OffsetDateTime>,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl fmt::Debug for entity::Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("id", &self.id).finish_non_exhaustive()
    }
}

fn row_from((token, user): (entity::Model, Option<user::entity::Model>)) -> Result<TokenRow, StoreError> {
    let kind = match token.kind.as_str() {
        "cli" => TokenKind::Cli,
        "api" => TokenKind::Api,
        _ => return Err(StoreError::Corrupt("a token is of no known kind".to_owned())),
    };
    Ok(TokenRow {
        kind,
        roles: roles_from(&token.roles)?,
        id: token.id,
        name: token.name,
        created_at: token.created_at,
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
        last_used_at: token.last_used_at,
        user: user.map(UserRow::try_from).transpose()?,
    })
}

impl Store {
    /// Adds a token.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the hash exists or the person does not;
    /// [`StoreError::Unavailable`].
    pub async fn token_create(&self, token: NewToken, now: OffsetDateTime) -> Result<(), StoreError> {
        let insert = entity::ActiveModel {
            id: Set(token.id),
            kind: Set(token.kind.as_str().to_owned()),
            name: Set(token.name),
            user_id: Set(token.user_id),
            roles: Set(roles_text(&token.roles)),
            secret_hash: Set(token.secret_hash.to_vec()),
            created_at: Set(now),
            expires_at: Set(token.expires_at),
            revoked_at: Set(None),
            last_used_at: Set(None),
        };
        let db = self.inner.write.clone();
        self.run(async move { Ok(entity::Entity::insert(insert).exec_without_returning(&db).await.map(|_| ())?) }).await
    }

    /// Finds a token and its person by the SHA-256 of its secret, whether or not it is still good.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn token_find(&self, secret_hash: &[u8; 32]) -> Result<Option<TokenRow>, StoreError> {
        let db = self.inner.read.clone();
        let select = entity::Entity::find()
            .filter(entity::Column::SecretHash.eq(secret_hash.to_vec()))
            .find_also_related(user::entity::Entity);
        self.run(async move { select.one(&db).await?.map(row_from).transpose() }).await
    }

    /// The identity epoch: changes whenever a token or a person does.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when the schema is missing.
    pub async fn identity_epoch(&self) -> Result<u64, StoreError> {
        let rows = self.select("SELECT epoch FROM identity_epoch WHERE id = 1", vec![]).await?;
        let row = rows.first().ok_or(StoreError::NotFound)?;
        loaded(row.try_get_by_index(0)?)
    }

    /// All tokens, newest first; with `user_id` only that person's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn token_list(&self, user_id: Option<&str>) -> Result<Vec<TokenRow>, StoreError> {
        let db = self.inner.read.clone();
        let mut select = entity::Entity::find();
        if let Some(id) = user_id {
            select = select.filter(entity::Column::UserId.eq(id));
        }
        let select = select.order_by_desc(entity::Column::CreatedAt).find_also_related(user::entity::Entity);
        self.run(async move { select.all(&db).await?.into_iter().map(row_from).collect() }).await
    }

    /// Revokes a token for good. One that is revoked already keeps its first time.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn token_revoke(&self, id: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        let db = self.inner.write.clone();
        let id = id.to_owned();
        self.run(async move {
            let exists = entity::Entity::find_by_id(&id).one(&db).await?.is_some();
            entity::Entity::update_many()
                .col_expr(entity::Column::RevokedAt, Expr::value(Some(now)))
                .filter(entity::Column::Id.eq(id).and(entity::Column::RevokedAt.is_null()))
                .exec(&db)
                .await?;
            if exists { Ok(()) } else { Err(StoreError::NotFound) }
        })
        .await
    }

    /// Notes that a token was used. Callers do so now and then, not on every request.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn token_touch(&self, id: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        let update = entity::Entity::update_many()
            .col_expr(entity::Column::LastUsedAt, Expr::value(Some(now)))
            .filter(entity::Column::Id.eq(id));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await.map(|_| ())?) }).await
    }
}
