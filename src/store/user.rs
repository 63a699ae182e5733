//! People who may use the gateway.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{ExprTrait as _, QueryOrder as _};
use time::OffsetDateTime;

use super::append::{loaded, stored};
use super::{Store, StoreError};

pub(super) mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub email: String,
        pub name: String,
        pub roles: String,
        pub locked: bool,
        pub version: i64,
        pub created_at: TimeDateTimeWithTimeZone,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A person, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Stable name: the subject at the identity provider.
    pub id: String,
    /// Address, unique, lower-case.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Roles by name.
    pub roles: Vec<String>,
    /// Whether everything is refused.
    pub locked: bool,
    /// Grows with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A person to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// Stable name: the subject at the identity provider.
    pub id: String,
    /// Address; stored lower-case.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Roles by name.
    pub roles: Vec<String>,
}

/// What to change about a person; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Name for people.
    pub name: Option<String>,
    /// Roles by name.
    pub roles: Option<Vec<String>>,
    /// Whether everything is refused.
    pub locked: Option<bool>,
}

impl TryFrom<entity::Model> for UserRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        Ok(Self {
            roles: roles_from(&row.roles)?,
            id: row.id,
            email: row.email,
            name: row.name,
            locked: row.locked,
            version: loaded(row.version)?,
            created_at: row.created_at,
        })
    }
}

/// Roles as the JSON text in which they are stored.
pub(super) fn roles_text(roles: &[String]) -> String {
    serde_json::Value::from(roles).to_string()
}

pub(super) fn roles_from(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt("a list of roles is not JSON".to_owned()))
}

impl Store {
    /// Adds a person.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the address is taken; [`StoreError::Unavailable`].
    pub async fn user_create(&self, user: NewUser, now: OffsetDateTime) -> Result<UserRow, StoreError> {
        let row = entity::Model {
            id: user.id,
            email: user.email.to_lowercase(),
            name: user.name,
            roles: roles_text(&user.roles),
            locked: false,
            version: stored(1)?,
            created_at: now,
        };
        let insert = entity::ActiveModel {
            id: Set(row.id.clone()),
            email: Set(row.email.clone()),
            name: Set(row.name.clone()),
            roles: Set(row.roles.clone()),
            locked: Set(row.locked),
            version: Set(row.version),
            created_at: Set(row.created_at),
        };
        let db = self.inner.write.clone();
        self.run(async move {
            entity::Entity::insert(insert).exec_without_returning(&db).await?;
            row.try_into()
        })
        .await
    }

    /// Finds a person by id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user_find(&self, id: &str) -> Result<Option<UserRow>, StoreError> {
        self.user_where(entity::Column::Id.eq(id)).await
    }

    /// Finds a person by address, in any case.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user_find_by_email(&self, email: &str) -> Result<Option<UserRow>, StoreError> {
        self.user_where(entity::Column::Email.eq(email.to_lowercase())).await
    }

    async fn user_where(&self, filter: sea_orm::sea_query::SimpleExpr) -> Result<Option<UserRow>, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move {
            let row = entity::Entity::find().filter(filter).one(&db).await?;
            row.map(UserRow::try_from).transpose()
        })
        .await
    }

    /// All people, by address.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user_list(&self) -> Result<Vec<UserRow>, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move {
            let rows = entity::Entity::find().order_by_asc(entity::Column::Email).all(&db).await?;
            rows.into_iter().map(UserRow::try_from).collect()
        })
        .await
    }

    /// Changes a person and counts the version up, so that nothing cached about them stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn user_update(&self, id: &str, change: UserChange) -> Result<(), StoreError> {
        let mut update = entity::Entity::update_many()
            .col_expr(entity::Column::Version, Expr::col(entity::Column::Version).add(1))
            .filter(entity::Column::Id.eq(id));
        if let Some(name) = change.name {
            update = update.col_expr(entity::Column::Name, Expr::value(name));
        }
        if let Some(roles) = change.roles {
            update = update.col_expr(entity::Column::Roles, Expr::value(roles_text(&roles)));
        }
        if let Some(locked) = change.locked {
            update = update.col_expr(entity::Column::Locked, Expr::value(locked));
        }
        let db = self.inner.write.clone();
        self.run(async move {
            let done = update.exec(&db).await?;
            if done.rows_affected == 0 { Err(StoreError::NotFound) } else { Ok(()) }
        })
        .await
    }
}
