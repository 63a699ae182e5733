//! Settings that administrators change while the gateway serves.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ExprTrait as _, QueryOrder as _};
use time::OffsetDateTime;

use super::append::{loaded, stored};
use super::value::second;
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "settings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub value: String,
        pub version: i64,
        pub updated_at: TimeDateTimeWithTimeZone,
        pub updated_by: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A setting, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// Its name.
    pub name: String,
    /// Its value, JSON.
    pub value: serde_json::Value,
    /// Grows with every change.
    pub version: u64,
    /// When it was last changed.
    pub updated_at: OffsetDateTime,
    /// Who changed it.
    pub updated_by: String,
}

impl TryFrom<entity::Model> for SettingRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let value = serde_json::from_str(&row.value);
        Ok(Self {
            value: value.map_err(|_| StoreError::Corrupt("a setting is not JSON".to_owned()))?,
            version: loaded(row.version)?,
            name: row.name,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
        })
    }
}

impl Store {
    /// A setting, if it was ever changed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it is not JSON; [`StoreError::Unavailable`].
    pub async fn setting_get(&self, name: &str) -> Result<Option<SettingRow>, StoreError> {
        let find = entity::Entity::find_by_id(name.to_owned());
        let db = self.inner.read.clone();
        self.run(async move { find.one(&db).await?.map(SettingRow::try_from).transpose() }).await
    }

    /// All settings that were ever changed, by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn setting_list(&self) -> Result<Vec<SettingRow>, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move {
            let rows = entity::Entity::find().order_by_asc(entity::Column::Name).all(&db).await?;
            rows.into_iter().map(SettingRow::try_from).collect()
        })
        .await
    }

    /// Sets a setting; with `expected_version` only if it is in that version, 0 for one that is not
    /// there.
    ///
    /// # Errors
    /// [`StoreError::Stale`]; [`StoreError::Unavailable`].
    pub async fn setting_put(
        &self,
        name: &str,
        value: &serde_json::Value,
        by: &str,
        expected_version: Option<u64>,
        now: OffsetDateTime,
    ) -> Result<SettingRow, StoreError> {
        let (now, value) = (second(now), value.to_string());
        let row = entity::ActiveModel {
            name: Set(name.to_owned()),
            value: Set(value.clone()),
            version: Set(stored(1)?),
            updated_at: Set(now),
            updated_by: Set(by.to_owned()),
        };
        let change = entity::Entity::update_many()
            .col_expr(entity::Column::Value, Expr::value(value))
            .col_expr(entity::Column::Version, Expr::col(entity::Column::Version).add(1))
            .col_expr(entity::Column::UpdatedAt, Expr::value(now))
            .col_expr(entity::Column::UpdatedBy, Expr::value(by))
            .filter(entity::Column::Name.eq(name));
        let expected = expected_version.map(stored).transpose()?;
        let db = self.inner.write.clone();
        self.run(async move {
            let insert = entity::Entity::insert(row);
            let done = match expected {
                None => Some(insert.on_conflict(overwrite()).exec_with_returning(&db).await?),
                Some(0) => match insert.exec_with_returning(&db).await.map_err(StoreError::from) {
                    Err(StoreError::Conflict(_)) => None,
                    done => Some(done?),
                },
                Some(version) => {
                    let change = change.filter(entity::Column::Version.eq(version));
                    change.exec_with_returning(&db).await?.into_iter().next()
                }
            };
            done.ok_or(StoreError::Stale)?.try_into()
        })
        .await
    }

    /// Removes a setting, so that its default holds again; with `expected_version` only if it is in
    /// that version.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Stale`]; [`StoreError::Unavailable`].
    pub async fn setting_delete(&self, name: &str, expected_version: Option<u64>) -> Result<(), StoreError> {
        let mut delete = entity::Entity::delete_many().filter(entity::Column::Name.eq(name));
        if let Some(version) = expected_version {
            delete = delete.filter(entity::Column::Version.eq(stored(version)?));
        }
        let (db, name) = (self.inner.write.clone(), name.to_owned());
        self.run(async move {
            if delete.exec(&db).await?.rows_affected > 0 {
                return Ok(());
            }
            let exists = entity::Entity::find_by_id(name).one(&db).await?.is_some();
            Err(if exists { StoreError::Stale } else { StoreError::NotFound })
        })
        .await
    }
}

fn overwrite() -> OnConflict {
    let version = Expr::col((entity::Entity, entity::Column::Version)).add(1);
    OnConflict::column(entity::Column::Name)
        .update_columns([entity::Column::Value, entity::Column::UpdatedAt, entity::Column::UpdatedBy])
        .value(entity::Column::Version, version)
        .to_owned()
}
