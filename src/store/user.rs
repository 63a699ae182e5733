//! People who may use the gateway: adding and finding them.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{ExprTrait as _, QueryOrder as _, QuerySelect as _};
use time::OffsetDateTime;

use super::append::{loaded, stored};
use super::value::{list_from, list_text, second, sorted};
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
        pub groups: String,
        pub issuer: Option<String>,
        pub subject: Option<String>,
        pub locked_at: Option<TimeDateTimeWithTimeZone>,
        pub locked_reason: Option<String>,
        pub locked_by: Option<String>,
        pub version: i64,
        pub created_at: TimeDateTimeWithTimeZone,
        pub created_by: Option<String>,
        pub last_login_at: Option<TimeDateTimeWithTimeZone>,
        pub enrolled_at: Option<TimeDateTimeWithTimeZone>,
        pub preferred_method: Option<String>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Who a person is at an identity provider (OpenID Connect Core 1.0 §2): the two belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The provider, as its tokens name it.
    pub issuer: String,
    /// The person, as the provider names them; never used again for another one.
    pub subject: String,
}

/// That a person is shut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Since when.
    pub at: OffsetDateTime,
    /// Why, for people.
    pub reason: String,
    /// Who did it.
    pub by: String,
}

/// A person, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRow {
    /// Their name in policy and records, a UUID.
    pub id: String,
    /// Address, unique, lower-case.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Roles by name.
    pub roles: Vec<String>,
    /// Groups at the identity provider, in order, as of the last sign-in.
    pub groups: Vec<String>,
    /// Who signs in as them; nobody has until there is one.
    pub binding: Option<Binding>,
    /// Whether everything is refused.
    pub lock: Option<Lock>,
    /// Grows with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// Who made it, where that is known.
    pub created_by: Option<String>,
    /// When they last signed in.
    pub last_login_at: Option<OffsetDateTime>,
    /// Since when they have a second factor.
    pub enrolled_at: Option<OffsetDateTime>,
    /// The method that they want to be asked for first.
    pub preferred_method: Option<String>,
}

impl UserRow {
    /// Whether everything is refused.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}

/// A person to add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewUser {
    /// Their name in policy and records, a UUID.
    pub id: String,
    /// Address; stored lower-case.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Roles by name.
    pub roles: Vec<String>,
    /// Groups at the identity provider.
    pub groups: Vec<String>,
    /// Who signs in as them, when that is known already.
    pub binding: Option<Binding>,
    /// Who makes it.
    pub created_by: Option<String>,
}

fn lock_from(at: Option<OffsetDateTime>, reason: Option<String>, by: Option<String>) -> Option<Lock> {
    at.map(|at| Lock { at, reason: reason.unwrap_or_default(), by: by.unwrap_or_default() })
}

impl TryFrom<entity::Model> for UserRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        Ok(Self {
            roles: list_from(&row.roles)?,
            groups: list_from(&row.groups)?,
            id: row.id,
            email: row.email,
            name: row.name,
            binding: row.issuer.zip(row.subject).map(|(issuer, subject)| Binding { issuer, subject }),
            lock: lock_from(row.locked_at, row.locked_reason, row.locked_by),
            version: loaded(row.version)?,
            created_at: row.created_at,
            created_by: row.created_by,
            last_login_at: row.last_login_at,
            enrolled_at: row.enrolled_at,
            preferred_method: row.preferred_method,
        })
    }
}

impl Store {
    /// Adds a person.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id, the address or the subject is taken;
    /// [`StoreError::Unavailable`].
    pub async fn user_create(&self, user: NewUser, now: OffsetDateTime) -> Result<UserRow, StoreError> {
        let (issuer, subject) = user.binding.map(|binding| (binding.issuer, binding.subject)).unzip();
        let insert = entity::ActiveModel {
            id: Set(user.id),
            email: Set(user.email.to_lowercase()),
            name: Set(user.name),
            roles: Set(list_text(&user.roles)),
            groups: Set(list_text(&sorted(user.groups))),
            issuer: Set(issuer),
            subject: Set(subject),
            locked_at: Set(None),
            locked_reason: Set(None),
            locked_by: Set(None),
            version: Set(stored(1)?),
            created_at: Set(second(now)),
            created_by: Set(user.created_by),
            last_login_at: Set(None),
            enrolled_at: Set(None),
            preferred_method: Set(None),
        };
        let db = self.inner.write.clone();
        self.run(async move { entity::Entity::insert(insert).exec_with_returning(&db).await?.try_into() }).await
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

    /// Finds a person by who they are at their identity provider.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user_find_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserRow>, StoreError> {
        self.user_where(entity::Column::Issuer.eq(issuer).and(entity::Column::Subject.eq(subject))).await
    }

    async fn user_where(&self, filter: SimpleExpr) -> Result<Option<UserRow>, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move {
            let row = entity::Entity::find().filter(filter).one(&db).await?;
            row.map(UserRow::try_from).transpose()
        })
        .await
    }

    /// Up to `limit` people by address, those after the address `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn user_list(&self, after: Option<&str>, limit: u64) -> Result<Vec<UserRow>, StoreError> {
        let mut select = entity::Entity::find().order_by_asc(entity::Column::Email).limit(limit);
        if let Some(after) = after {
            select = select.filter(entity::Column::Email.gt(after.to_lowercase()));
        }
        let db = self.inner.read.clone();
        self.run(async move { select.all(&db).await?.into_iter().map(UserRow::try_from).collect() }).await
    }

    /// How many people who are not locked hold this role themselves. Roles that imply others are
    /// not looked through.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn users_with_role(&self, role: &str) -> Result<u64, StoreError> {
        let select = entity::Entity::find()
            .select_only()
            .column(entity::Column::Roles)
            .filter(entity::Column::LockedAt.is_null())
            .into_tuple::<String>();
        let (db, role) = (self.inner.read.clone(), role.to_owned());
        self.run(async move {
            select
                .all(&db)
                .await?
                .iter()
                .try_fold(0, |count, text| Ok(if list_from(text)?.contains(&role) { count + 1 } else { count }))
        })
        .await
    }
}
