//! Browsers in which a person need not show a factor at each sign-in. Only hashes of their tokens are stored.

use std::fmt;
use std::net::IpAddr;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{DatabaseTransaction, ExprTrait as _, QueryOrder as _};
use time::OffsetDateTime;

use super::user_change::hold;
use super::value::{begin, parsed, second};
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "trusted_devices")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub user_id: String,
        pub token_hash: Vec<u8>,
        pub browser: String,
        pub source_ip: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub expires_at: TimeDateTimeWithTimeZone,
        pub last_used_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

impl fmt::Debug for entity::Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustedDevice").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A trusted device to add.
#[derive(Clone, PartialEq, Eq)]
pub struct NewDevice {
    /// Its id, a UUID of version 7: lists are in the order of ids.
    pub id: String,
    /// Who trusts it.
    pub user_id: String,
    /// SHA-256 of the token that the browser keeps.
    pub token_hash: [u8; 32],
    /// What browser it is, in few words.
    pub browser: String,
    /// Where it was at the time.
    pub source_ip: IpAddr,
    /// From when on it counts for nothing.
    pub expires_at: OffsetDateTime,
}

impl fmt::Debug for NewDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDevice").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A trusted device, as stored; the hash of its token stays in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// Who trusts it.
    pub user_id: String,
    /// What browser it is, in few words.
    pub browser: String,
    /// Where it was at the time.
    pub source_ip: IpAddr,
    /// Since when.
    pub created_at: OffsetDateTime,
    /// From when on it counts for nothing.
    pub expires_at: OffsetDateTime,
    /// When somebody last signed in with it.
    pub last_used_at: Option<OffsetDateTime>,
}

impl DeviceRow {
    /// Whether it counts at this time.
    #[must_use]
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.expires_at > now
    }
}

impl TryFrom<entity::Model> for DeviceRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let source_ip = parsed(Some(&row.source_ip), "an address")?;
        Ok(Self {
            source_ip: source_ip.ok_or(StoreError::NotFound)?,
            id: row.id,
            user_id: row.user_id,
            browser: row.browser,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        })
    }
}

/// Deletes what a person has; the database takes them from the sessions that began there. The caller holds
/// the person.
pub(super) async fn delete_all(tx: &DatabaseTransaction, user: &str) -> Result<(), StoreError> {
    Ok(Entity::delete_many().filter(Column::UserId.eq(user)).exec(tx).await.map(|_| ())?)
}

/// Whether a person trusts a device; nobody can end that before the transaction ends. The caller holds the
/// person.
pub(super) async fn is_trusted(tx: &DatabaseTransaction, id: &str, user: &str) -> Result<bool, StoreError> {
    let row = Entity::find_by_id(id).filter(Column::UserId.eq(user)).one(tx).await?;
    Ok(row.is_some())
}

impl Store {
    /// Adds a trusted device.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the token exists or the person does not;
    /// [`StoreError::Unavailable`].
    pub async fn device_add(&self, new: NewDevice, now: OffsetDateTime) -> Result<(), StoreError> {
        let insert = entity::ActiveModel {
            id: Set(new.id),
            user_id: Set(new.user_id),
            token_hash: Set(new.token_hash.to_vec()),
            browser: Set(new.browser),
            source_ip: Set(new.source_ip.to_string()),
            created_at: Set(second(now)),
            expires_at: Set(second(new.expires_at)),
            last_used_at: Set(None),
        };
        let db = self.inner.write.clone();
        self.run(async move { Ok(Entity::insert(insert).exec_without_returning(&db).await.map(|_| ())?) }).await
    }

    /// Finds a trusted device by the SHA-256 of its token, over or not: see [`DeviceRow::is_live`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn device_find(&self, token_hash: &[u8; 32]) -> Result<Option<DeviceRow>, StoreError> {
        let select = Entity::find().filter(Column::TokenHash.eq(token_hash.to_vec()));
        let db = self.inner.read.clone();
        self.run(async move { select.one(&db).await?.map(DeviceRow::try_from).transpose() }).await
    }

    /// Notes that somebody signed in with a trusted device; never earlier than is noted already.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn device_touch(&self, id: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        let now = second(now);
        let update = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(Some(now)))
            .filter(Column::Id.eq(id))
            .filter(Column::LastUsedAt.is_null().or(Column::LastUsedAt.lt(now)));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await.map(|_| ())?) }).await
    }

    /// A person's trusted devices that count at this time, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn device_list(&self, user_id: &str, now: OffsetDateTime) -> Result<Vec<DeviceRow>, StoreError> {
        let select = Entity::find()
            .filter(Column::UserId.eq(user_id))
            .filter(Column::ExpiresAt.gt(second(now)))
            .order_by_desc(Column::Id);
        let db = self.inner.read.clone();
        self.run(async move { select.all(&db).await?.into_iter().map(DeviceRow::try_from).collect() }).await
    }

    /// Removes a trusted device of this person; whether there was one. The database takes it from the sessions
    /// that began there, so that they have shown nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such person; [`StoreError::Unavailable`].
    pub async fn device_delete(&self, id: &str, user_id: &str) -> Result<bool, StoreError> {
        let delete = Entity::delete_many().filter(Column::Id.eq(id).and(Column::UserId.eq(user_id)));
        let (db, user_id) = (self.inner.write.clone(), user_id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            hold(&tx, &user_id).await?;
            let is_gone = delete.exec(&tx).await?.rows_affected > 0;
            tx.commit().await?;
            Ok(is_gone)
        })
        .await
    }

    /// Deletes those that are over; how many that were. Each by itself: it changes sessions of its person.
    pub(super) async fn devices_sweep(&self, now: OffsetDateTime) -> Result<u64, StoreError> {
        let select = Entity::find().filter(Column::ExpiresAt.lte(second(now)));
        let db = self.inner.read.clone();
        let over = self.run(async move { Ok(select.all(&db).await?) }).await?;
        let mut count = 0;
        for device in over {
            match self.device_delete(&device.id, &device.user_id).await {
                Ok(true) => count += 1,
                // Another replica was faster, or the person is gone.
                Ok(false) | Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}
