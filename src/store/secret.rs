//! Sealed values, by purpose and id. What they hold and under which keys is the vault's business.

use std::fmt;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{Condition, ExprTrait as _, QueryOrder as _, QuerySelect as _};
use time::OffsetDateTime;

use super::append::loaded;
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "secrets")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub purpose: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub sealed: String,
        pub key_id: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub resealed_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Where a sealed value is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretKey {
    /// What it is.
    pub purpose: String,
    /// Whose it is; unique within the purpose.
    pub id: String,
}

/// A sealed value, as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Where it is.
    pub key: SecretKey,
    /// The sealed text.
    pub sealed: String,
    /// The id of the key that sealed it.
    pub key_id: String,
    /// When the value was put there.
    pub created_at: OffsetDateTime,
    /// When it was last sealed again under another key.
    pub resealed_at: Option<OffsetDateTime>,
}

impl fmt::Debug for SecretRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretRow").field("key", &self.key).field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl From<entity::Model> for SecretRow {
    fn from(row: entity::Model) -> Self {
        Self {
            key: SecretKey { purpose: row.purpose, id: row.id },
            sealed: row.sealed,
            key_id: row.key_id,
            created_at: row.created_at,
            resealed_at: row.resealed_at,
        }
    }
}

/// How many values of one purpose are sealed under one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretCount {
    /// What they are.
    pub purpose: String,
    /// The key.
    pub key_id: String,
    /// How many.
    pub count: u64,
}

fn insert(key: SecretKey, sealed: String, key_id: String, now: OffsetDateTime) -> entity::ActiveModel {
    entity::ActiveModel {
        purpose: Set(key.purpose),
        id: Set(key.id),
        sealed: Set(sealed),
        key_id: Set(key_id),
        created_at: Set(now),
        resealed_at: Set(None),
    }
}

fn at(key: &SecretKey) -> Condition {
    Condition::all().add(entity::Column::Purpose.eq(&key.purpose)).add(entity::Column::Id.eq(&key.id))
}

impl Store {
    /// Stores a sealed value in place of the one that is there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn secret_put(
        &self,
        key: SecretKey,
        sealed: String,
        key_id: String,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut replace = OnConflict::columns([entity::Column::Purpose, entity::Column::Id]);
        replace.update_columns([
            entity::Column::Sealed,
            entity::Column::KeyId,
            entity::Column::CreatedAt,
            entity::Column::ResealedAt,
        ]);
        let insert = entity::Entity::insert(insert(key, sealed, key_id, now)).on_conflict(replace);
        let db = self.inner.write.clone();
        self.run(async move { Ok(insert.exec_without_returning(&db).await.map(|_| ())?) }).await
    }

    /// Stores a sealed value where there is none. Gives what is there afterwards, whoever put it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when somebody took it away meanwhile; [`StoreError::Unavailable`].
    pub async fn secret_add(
        &self,
        key: SecretKey,
        sealed: String,
        key_id: String,
        now: OffsetDateTime,
    ) -> Result<SecretRow, StoreError> {
        let add = entity::Entity::insert(insert(key.clone(), sealed, key_id, now)).on_conflict_do_nothing();
        let db = self.inner.write.clone();
        self.run(async move {
            add.exec_without_returning(&db).await?;
            let row = entity::Entity::find().filter(at(&key)).one(&db).await?;
            row.map(SecretRow::from).ok_or(StoreError::NotFound)
        })
        .await
    }

    /// Finds a sealed value.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn secret_get(&self, key: &SecretKey) -> Result<Option<SecretRow>, StoreError> {
        let db = self.inner.read.clone();
        let select = entity::Entity::find().filter(at(key));
        self.run(async move { Ok(select.one(&db).await?.map(SecretRow::from)) }).await
    }

    /// Deletes a sealed value; with `only` nothing else than that text. Whether it did.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn secret_delete(&self, key: &SecretKey, only: Option<&str>) -> Result<bool, StoreError> {
        let mut delete = entity::Entity::delete_many().filter(at(key));
        if let Some(sealed) = only {
            delete = delete.filter(entity::Column::Sealed.eq(sealed));
        }
        let db = self.inner.write.clone();
        self.run(async move { Ok(delete.exec(&db).await?.rows_affected > 0) }).await
    }

    /// At most `limit` sealed values behind `after` in the order of their keys; with `not_under`
    /// none that are sealed under that key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn secret_page(
        &self,
        not_under: Option<&str>,
        after: Option<&SecretKey>,
        limit: u64,
    ) -> Result<Vec<SecretRow>, StoreError> {
        let mut select =
            entity::Entity::find().order_by_asc(entity::Column::Purpose).order_by_asc(entity::Column::Id).limit(limit);
        if let Some(key_id) = not_under {
            select = select.filter(entity::Column::KeyId.ne(key_id));
        }
        if let Some(SecretKey { purpose, id }) = after {
            let later = entity::Column::Purpose.eq(purpose).and(entity::Column::Id.gt(id));
            select = select.filter(entity::Column::Purpose.gt(purpose).or(later));
        }
        let db = self.inner.read.clone();
        self.run(async move { Ok(select.all(&db).await?.into_iter().map(SecretRow::from).collect()) }).await
    }

    /// Puts `sealed` in place of the text in `row`, for the same value under another key. False,
    /// and nothing is changed, when there is another text by now, or none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn secret_reseal(
        &self,
        row: &SecretRow,
        sealed: String,
        key_id: String,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = entity::Entity::update_many()
            .col_expr(entity::Column::Sealed, Expr::value(sealed))
            .col_expr(entity::Column::KeyId, Expr::value(key_id))
            .col_expr(entity::Column::ResealedAt, Expr::value(Some(now)))
            .filter(at(&row.key))
            .filter(entity::Column::Sealed.eq(&row.sealed));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }

    /// How many values there are of each purpose under each key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn secret_counts(&self) -> Result<Vec<SecretCount>, StoreError> {
        let sql = "SELECT purpose, key_id, COUNT(*) FROM secrets GROUP BY purpose, key_id ORDER BY purpose, key_id";
        let rows = self.select(sql, vec![]).await?;
        let counts = rows.iter().map(|row| {
            Ok(SecretCount {
                purpose: row.try_get_by_index(0)?,
                key_id: row.try_get_by_index(1)?,
                count: loaded(row.try_get_by_index(2)?)?,
            })
        });
        counts.collect()
    }
}
