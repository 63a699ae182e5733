//! Second factors that people enrolled, confirmed or still under way. What proves one is not known here: a
//! TOTP secret is in the vault, and goes when its row does.

use std::fmt;

use sea_orm::ActiveValue::Set;
use sea_orm::DatabaseTransaction;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ExprTrait as _, QueryOrder as _};
use time::OffsetDateTime;

use super::append::{loaded, stored};
use super::credential_change::forget_factor;
use super::outbox::outbox_add;
use super::user_change::{change as user_change, hold, told};
use super::value::{begin, second};
use super::{Store, StoreError, backup_code, challenge, device, user};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "factors")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub user_id: String,
        pub kind: String,
        pub name: String,
        pub credential_id: Option<String>,
        pub data: Option<String>,
        pub last_step: Option<i64>,
        pub created_at: TimeDateTimeWithTimeZone,
        pub created_with: String,
        pub expires_at: Option<TimeDateTimeWithTimeZone>,
        pub confirmed_at: Option<TimeDateTimeWithTimeZone>,
        pub last_used_at: Option<TimeDateTimeWithTimeZone>,
        pub version: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

impl fmt::Debug for entity::Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factor").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FactorKind {
    /// A passkey or security key (W3C Web Authentication).
    Webauthn,
    /// One-time codes by time (RFC 6238).
    Totp,
    /// One-time codes of a Yubico key.
    Yubico,
}

impl FactorKind {
    /// The word that is stored and shown to programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webauthn => "webauthn",
            Self::Totp => "totp",
            Self::Yubico => "yubico",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Webauthn, Self::Totp, Self::Yubico].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A factor, as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct FactorRow {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// What it is.
    pub kind: FactorKind,
    /// Name for people.
    pub name: String,
    /// How the thing itself is called, where it has a name: no two factors have the same.
    pub credential_id: Option<String>,
    /// What is needed to believe it, or to end its enrolment; nothing secret.
    pub data: Option<String>,
    /// The last time step of which a code was used (RFC 6238 §5.2).
    pub last_step: Option<i64>,
    /// When its enrolment began.
    pub created_at: OffsetDateTime,
    /// Id of the credential that began it.
    pub created_with: String,
    /// Until when it can be confirmed; nothing once it was.
    pub expires_at: Option<OffsetDateTime>,
    /// Since when it counts.
    pub confirmed_at: Option<OffsetDateTime>,
    /// When it was last shown.
    pub last_used_at: Option<OffsetDateTime>,
    /// Grows with every change but the steps of one-time codes.
    pub version: u64,
}

impl fmt::Debug for FactorRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactorRow").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// An enrolment to begin.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFactor {
    /// Its id, a UUID of version 7: lists are in the order of ids.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// What it is.
    pub kind: FactorKind,
    /// Name for people.
    pub name: String,
    /// How the thing itself is called, where that is known already.
    pub credential_id: Option<String>,
    /// What is needed to end the enrolment.
    pub data: Option<String>,
    /// Id of the credential that begins it.
    pub created_with: String,
    /// Until when it can be confirmed.
    pub expires_at: OffsetDateTime,
}

impl fmt::Debug for NewFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewFactor").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl TryFrom<entity::Model> for FactorRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let kind = FactorKind::from_word(&row.kind)
            .ok_or_else(|| StoreError::Corrupt("a factor is of no known kind".to_owned()))?;
        Ok(Self {
            kind,
            version: loaded(row.version)?,
            id: row.id,
            user_id: row.user_id,
            name: row.name,
            credential_id: row.credential_id,
            data: row.data,
            last_step: row.last_step,
            created_at: row.created_at,
            created_with: row.created_with,
            expires_at: row.expires_at,
            confirmed_at: row.confirmed_at,
            last_used_at: row.last_used_at,
        })
    }
}

/// A change that counts the version up.
fn change(id: &str) -> sea_orm::UpdateMany<Entity> {
    Entity::update_many().col_expr(Column::Version, Expr::col(Column::Version).add(1)).filter(Column::Id.eq(id))
}

/// Those of a person that count.
fn confirmed(user_id: &str) -> SimpleExpr {
    Column::UserId.eq(user_id).and(Column::ConfirmedAt.is_not_null())
}

/// After a person has lost a confirmed factor: without any, they are not enrolled, and nothing that stands
/// for a factor is left. The caller holds the person.
async fn settle(tx: &DatabaseTransaction, user_id: &str, lost: &str) -> Result<(), StoreError> {
    let left = Entity::find().filter(confirmed(user_id)).count(tx).await?;
    let of_kind = Entity::find().filter(confirmed(user_id).and(Column::Kind.eq(lost))).count(tx).await?;
    if left == 0 {
        unenrol(tx, user_id).await?;
    } else if of_kind == 0 {
        let update = user_change(user_id)
            .col_expr(user::entity::Column::PreferredMethod, Expr::value(None::<String>))
            .filter(user::entity::Column::PreferredMethod.eq(lost));
        update.exec(tx).await?;
    }
    Ok(())
}

async fn unenrol(tx: &DatabaseTransaction, user_id: &str) -> Result<(), StoreError> {
    backup_code::delete_all(tx, user_id).await?;
    device::delete_all(tx, user_id).await?;
    let is_known =
        user::entity::Column::EnrolledAt.is_not_null().or(user::entity::Column::PreferredMethod.is_not_null());
    let update = user_change(user_id)
        .col_expr(user::entity::Column::EnrolledAt, Expr::value(None::<OffsetDateTime>))
        .col_expr(user::entity::Column::PreferredMethod, Expr::value(None::<String>))
        .filter(is_known);
    Ok(update.exec(tx).await.map(|_| ())?)
}

impl Store {
    /// Begins an enrolment. It counts for nothing until it is confirmed.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the credential id exists or the person does not;
    /// [`StoreError::Unavailable`].
    pub async fn factor_begin(&self, new: NewFactor, now: OffsetDateTime) -> Result<(), StoreError> {
        let insert = entity::ActiveModel {
            id: Set(new.id),
            user_id: Set(new.user_id),
            kind: Set(new.kind.as_str().to_owned()),
            name: Set(new.name),
            credential_id: Set(new.credential_id),
            data: Set(new.data),
            last_step: Set(None),
            created_at: Set(second(now)),
            created_with: Set(new.created_with),
            expires_at: Set(Some(second(new.expires_at))),
            confirmed_at: Set(None),
            last_used_at: Set(None),
            version: Set(stored(1)?),
        };
        let db = self.inner.write.clone();
        self.run(async move { Ok(Entity::insert(insert).exec_without_returning(&db).await.map(|_| ())?) }).await
    }

    /// Ends an enrolment before its end: the factor counts from now on. With their first one the person is
    /// enrolled, and their other enrolments end. Whether it was still under way; of several callers one is told
    /// so. What is `None` stays as it is, but the step.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such person; [`StoreError::Conflict`] when another factor
    /// has that credential id; [`StoreError::Unavailable`].
    pub async fn factor_confirm(
        &self,
        id: &str,
        user_id: &str,
        credential_id: Option<String>,
        data: Option<String>,
        last_step: Option<i64>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let now = second(now);
        let mut update = change(id)
            .col_expr(Column::ConfirmedAt, Expr::value(Some(now)))
            .col_expr(Column::ExpiresAt, Expr::value(None::<OffsetDateTime>))
            .col_expr(Column::LastStep, Expr::value(last_step))
            .filter(Column::UserId.eq(user_id))
            .filter(Column::ConfirmedAt.is_null())
            .filter(Column::ExpiresAt.gt(now));
        if let Some(credential_id) = credential_id {
            update = update.col_expr(Column::CredentialId, Expr::value(credential_id));
        }
        if let Some(data) = data {
            update = update.col_expr(Column::Data, Expr::value(data));
        }
        let unfinished = Entity::delete_many().filter(Column::UserId.eq(user_id)).filter(Column::ConfirmedAt.is_null());
        let enrol = user_change(user_id)
            .col_expr(user::entity::Column::EnrolledAt, Expr::value(Some(now)))
            .filter(user::entity::Column::EnrolledAt.is_null());
        let (db, user_id) = (self.inner.write.clone(), user_id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            hold(&tx, &user_id).await?;
            if update.exec(&tx).await?.rows_affected == 0 {
                return Ok(false);
            }
            if enrol.exec(&tx).await?.rows_affected > 0 {
                // What was begun while no factor was needed for it ends with the first one.
                unfinished.exec(&tx).await?;
            }
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Finds a factor, confirmed or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn factor_find(&self, id: &str) -> Result<Option<FactorRow>, StoreError> {
        self.factor_where(Column::Id.eq(id)).await
    }

    /// Finds a factor, confirmed or not, by how the thing itself is called.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn factor_by_credential(&self, credential_id: &str) -> Result<Option<FactorRow>, StoreError> {
        self.factor_where(Column::CredentialId.eq(credential_id)).await
    }

    async fn factor_where(&self, filter: SimpleExpr) -> Result<Option<FactorRow>, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move {
            let row = Entity::find().filter(filter).one(&db).await?;
            row.map(FactorRow::try_from).transpose()
        })
        .await
    }

    /// A person's confirmed factors, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn factor_list(&self, user_id: &str) -> Result<Vec<FactorRow>, StoreError> {
        let select = Entity::find().filter(confirmed(user_id)).order_by_asc(Column::Id);
        let db = self.inner.read.clone();
        self.run(async move { select.all(&db).await?.into_iter().map(FactorRow::try_from).collect() }).await
    }

    /// Gives a confirmed factor of this person another name; whether there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn factor_rename(&self, id: &str, user_id: &str, name: &str) -> Result<bool, StoreError> {
        let update = change(id).col_expr(Column::Name, Expr::value(name)).filter(confirmed(user_id));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }

    /// Removes a factor of this person, confirmed or not; whether there was one. With the last confirmed one
    /// go backup codes and trusted devices, and the person is not enrolled any more.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such person; [`StoreError::Unavailable`].
    pub async fn factor_delete(&self, id: &str, user_id: &str) -> Result<bool, StoreError> {
        let delete = Entity::delete_many().filter(Column::Id.eq(id).and(Column::UserId.eq(user_id)));
        let (db, user_id) = (self.inner.write.clone(), user_id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            hold(&tx, &user_id).await?;
            let Some(gone) = delete.exec_with_returning(&tx).await?.into_iter().next() else { return Ok(false) };
            if gone.confirmed_at.is_some() {
                settle(&tx, &user_id, &gone.kind).await?;
            }
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Notes that the code of a time step was used. Whether that is allowed: each step once, and only later
    /// than all that were used before (RFC 6238 §5.2).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn factor_step(&self, id: &str, step: i64, now: OffsetDateTime) -> Result<bool, StoreError> {
        let update = Entity::update_many()
            .col_expr(Column::LastStep, Expr::value(Some(step)))
            .col_expr(Column::LastUsedAt, Expr::value(Some(second(now))))
            .filter(Column::Id.eq(id))
            .filter(Column::Kind.eq(FactorKind::Totp.as_str()))
            .filter(Column::ConfirmedAt.is_not_null())
            .filter(Column::LastStep.is_null().or(Column::LastStep.lt(step)));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }

    /// Notes that a confirmed factor in the version `expected_version` was shown, and what is needed to believe
    /// it the next time; `None` leaves that as it is. Whether it was in that version.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn factor_used(
        &self,
        id: &str,
        data: Option<String>,
        expected_version: u64,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut update = change(id)
            .col_expr(Column::LastUsedAt, Expr::value(Some(second(now))))
            .filter(Column::Version.eq(stored(expected_version)?))
            .filter(Column::ConfirmedAt.is_not_null());
        if let Some(data) = data {
            update = update.col_expr(Column::Data, Expr::value(data));
        }
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }

    /// Takes from a person all factors, backup codes, trusted devices and challenges, and from their sessions
    /// what these have shown. How many factors that were, enrolments under way included.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such person; [`StoreError::Unavailable`].
    pub async fn factors_reset(&self, user_id: &str, by: &str, now: OffsetDateTime) -> Result<u64, StoreError> {
        let delete = Entity::delete_many().filter(Column::UserId.eq(user_id));
        let reset = told("factor.reset", user_id, by, now);
        let (db, user_id) = (self.inner.write.clone(), user_id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            hold(&tx, &user_id).await?;
            let count = delete.exec(&tx).await?.rows_affected;
            if count > 0 {
                outbox_add(&tx, &reset).await?;
            }
            challenge::delete_all(&tx, &user_id).await?;
            unenrol(&tx, &user_id).await?;
            forget_factor(&tx, &user_id).await?;
            tx.commit().await?;
            Ok(count)
        })
        .await
    }
}
