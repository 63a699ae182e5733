//! Backup codes: each is good once, in place of a factor. Only hashes are stored.

use sea_orm::ActiveValue::Set;
use sea_orm::DatabaseTransaction;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use time::OffsetDateTime;

use super::append::loaded;
use super::user_change::hold;
use super::value::{begin, second};
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "backup_codes")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub code_hash: Vec<u8>,
        pub user_id: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub used_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(super) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

/// Unused, and all: a used one stays until the next ten are made.
const LEFT: &str = "SELECT COUNT(*) - COUNT(used_at), COUNT(*) FROM backup_codes WHERE user_id = $1";

/// Deletes what a person has. The caller holds the person.
pub(super) async fn delete_all(tx: &DatabaseTransaction, user: &str) -> Result<(), StoreError> {
    Ok(Entity::delete_many().filter(Column::UserId.eq(user)).exec(tx).await.map(|_| ())?)
}

impl Store {
    /// Gives a person these backup codes, as SHA-256, in place of all that they had.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such person; [`StoreError::Conflict`] when a code exists:
    /// draw others; [`StoreError::Unavailable`].
    pub async fn backup_codes_replace(
        &self,
        user_id: &str,
        hashes: Vec<[u8; 32]>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let code = |hash: [u8; 32]| entity::ActiveModel {
            code_hash: Set(hash.to_vec()),
            user_id: Set(user_id.to_owned()),
            created_at: Set(second(now)),
            used_at: Set(None),
        };
        let codes: Vec<_> = hashes.into_iter().map(code).collect();
        let (db, user_id) = (self.inner.write.clone(), user_id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            hold(&tx, &user_id).await?;
            delete_all(&tx, &user_id).await?;
            if !codes.is_empty() {
                Entity::insert_many(codes).exec_without_returning(&tx).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Uses up a backup code of this person, given as SHA-256; whether it was good. Of several callers one is
    /// told so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn backup_code_use(
        &self,
        user_id: &str,
        hash: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(Some(second(now))))
            .filter(Column::CodeHash.eq(hash.to_vec()))
            .filter(Column::UserId.eq(user_id))
            .filter(Column::UsedAt.is_null());
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }

    /// How many backup codes of a person are unused, and how many they were given.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn backup_codes_left(&self, user_id: &str) -> Result<(u64, u64), StoreError> {
        let rows = self.select(LEFT, vec![user_id.into()]).await?;
        let row = rows.first().ok_or(StoreError::NotFound)?;
        Ok((loaded(row.try_get_by_index(0)?)?, loaded(row.try_get_by_index(1)?)?))
    }
}
