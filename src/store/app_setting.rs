//! Settings of one app, that administrators change while the gateway serves.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait as _, QueryOrder as _};

use super::append::{loaded, stored};
use super::value::second;
use super::{SettingRow, Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "app_settings")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub app: String,
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

use entity::{ActiveModel, Column, Entity, Model};

impl TryFrom<Model> for SettingRow {
    type Error = StoreError;

    fn try_from(model: Model) -> Result<Self, StoreError> {
        let Model { app: _, name, value, version, updated_at, updated_by } = model;
        let value = serde_json::from_str(&value);
        let value = value.map_err(|_| StoreError::Corrupt(format!("a setting: {name} of an app is not JSON")))?;
        Ok(Self { name, value, version: loaded(version)?, updated_at, updated_by })
    }
}

impl Store {
    /// All settings of an app that were ever changed, by name.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when one is not JSON; [`StoreError::Unavailable`].
    pub async fn app_setting_list(&self, app: &str) -> Result<Vec<SettingRow>, StoreError> {
        let select = Entity::find().filter(Column::App.eq(app)).order_by_asc(Column::Name);
        let db = self.inner.read.clone();
        self.run(async move { select.all(&db).await?.into_iter().map(SettingRow::try_from).collect() }).await
    }

    /// Sets a setting of an app that is in the version `expected`, 0 for one that is not there.
    ///
    /// # Errors
    /// [`StoreError::Stale`]; [`StoreError::Unavailable`].
    pub async fn app_setting_put(
        &self,
        app: &str,
        setting: SettingRow,
        expected: u64,
    ) -> Result<SettingRow, StoreError> {
        let next = ActiveModel {
            app: Set(app.to_owned()),
            name: Set(setting.name.clone()),
            value: Set(setting.value.to_string()),
            version: Set(stored(expected.saturating_add(1))?),
            updated_at: Set(second(setting.updated_at)),
            updated_by: Set(setting.updated_by),
        };
        let before = Column::App.eq(app).and(Column::Name.eq(setting.name)).and(Column::Version.eq(stored(expected)?));
        let db = self.inner.write.clone();
        self.run(async move {
            if expected > 0 {
                let changed = Entity::update_many().set(next).filter(before).exec_with_returning(&db).await?;
                return changed.into_iter().next().ok_or(StoreError::Stale)?.try_into();
            }
            match Entity::insert(next).exec_with_returning(&db).await.map_err(StoreError::from) {
                Err(StoreError::Conflict(_)) => Err(StoreError::Stale),
                inserted => inserted?.try_into(),
            }
        })
        .await
    }

    /// Removes a setting of an app that is in the version `expected`, so that its default holds again.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is in another version, or not there; [`StoreError::Unavailable`].
    pub async fn app_setting_delete(&self, app: &str, name: &str, expected: u64) -> Result<(), StoreError> {
        let which = Column::App.eq(app).and(Column::Name.eq(name)).and(Column::Version.eq(stored(expected)?));
        let delete = Entity::delete_many().filter(which);
        let db = self.inner.write.clone();
        self.run(async move {
            let gone = delete.exec(&db).await?.rows_affected;
            if gone > 0 { Ok(()) } else { Err(StoreError::Stale) }
        })
        .await
    }
}
