//! What may happen to a person. Whatever reads before it writes holds the person's row meanwhile, and
//! whatever changes several credentials of a person holds it too: so no two of these can wait for each other.

use sea_orm::DatabaseTransaction;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{ExprTrait as _, QuerySelect as _, UpdateMany};
use time::OffsetDateTime;

use super::append::stored;
use super::credential_change::{delete_all, revoke_all};
use super::outbox::{Notice, outbox_add};
use super::user::entity::{Column, Entity, Model};
use super::value::{begin, list_from, list_text, second, sorted};
use super::{Store, StoreError, UserRow};

/// What to change about a person; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Name for people.
    pub name: Option<String>,
    /// Roles by name.
    pub roles: Option<Vec<String>>,
    /// Groups at the identity provider.
    pub groups: Option<Vec<String>>,
    /// The method of proof that is asked for first; `Some(None)` for none in particular.
    pub preferred_method: Option<Option<String>>,
}

/// A change that counts the version up.
pub(super) fn change(id: &str) -> UpdateMany<Entity> {
    Entity::update_many().col_expr(Column::Version, Expr::col(Column::Version).add(1)).filter(Column::Id.eq(id))
}

/// Reads a person and keeps everybody else from changing them until the transaction ends.
pub(super) async fn hold(tx: &DatabaseTransaction, id: &str) -> Result<Model, StoreError> {
    Entity::find_by_id(id).lock_exclusive().one(tx).await?.ok_or(StoreError::NotFound)
}

/// What others hear of a change to a person: who they are and who did it, by id. Reasons are words of people,
/// and stay here.
pub(super) fn told(kind: &'static str, user: &str, by: &str, at: OffsetDateTime) -> Notice {
    Notice { kind, data: serde_json::json!({ "user": user, "by": by }), at }
}

impl Store {
    /// Changes a person; with `expected_version` only that version of them. Their credentials stay:
    /// each request is decided on what they are by then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Stale`]; [`StoreError::Unavailable`].
    pub async fn user_update(
        &self,
        id: &str,
        wanted: UserChange,
        expected_version: Option<u64>,
    ) -> Result<UserRow, StoreError> {
        let mut update = change(id);
        if let Some(name) = wanted.name {
            update = update.col_expr(Column::Name, Expr::value(name));
        }
        if let Some(roles) = wanted.roles {
            update = update.col_expr(Column::Roles, Expr::value(list_text(&roles)));
        }
        if let Some(groups) = wanted.groups {
            update = update.col_expr(Column::Groups, Expr::value(list_text(&sorted(groups))));
        }
        if let Some(method) = wanted.preferred_method {
            update = update.col_expr(Column::PreferredMethod, Expr::value(method));
        }
        if let Some(version) = expected_version {
            update = update.filter(Column::Version.eq(stored(version)?));
        }
        self.user_changed(id, update, StoreError::Stale).await
    }

    /// Notes who signs in as this person. Once: whoever was first stays.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when they are bound already or somebody else is bound to that subject;
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn user_bind(&self, id: &str, issuer: &str, subject: &str) -> Result<UserRow, StoreError> {
        let update = change(id)
            .col_expr(Column::Issuer, Expr::value(issuer))
            .col_expr(Column::Subject, Expr::value(subject))
            .filter(Column::Subject.is_null());
        let taken = StoreError::Conflict("another account of the identity provider signs in as this user".to_owned());
        self.user_changed(id, update, taken).await
    }

    /// Runs an update of one person; `missed` is the error when they are there and do not match.
    async fn user_changed(
        &self,
        id: &str,
        update: UpdateMany<Entity>,
        missed: StoreError,
    ) -> Result<UserRow, StoreError> {
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            if let Some(row) = update.exec_with_returning(&db).await?.into_iter().next() {
                return row.try_into();
            }
            let exists = Entity::find_by_id(id).one(&db).await?.is_some();
            Err(if exists { missed } else { StoreError::NotFound })
        })
        .await
    }

    /// Notes a sign-in, and takes over what the identity provider says of the person. They count as
    /// changed only if that differs from what is stored.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn user_signed_in(
        &self,
        id: &str,
        name: &str,
        groups: Vec<String>,
        now: OffsetDateTime,
    ) -> Result<UserRow, StoreError> {
        let groups = list_text(&sorted(groups));
        let (db, id, name) = (self.inner.write.clone(), id.to_owned(), name.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            let known = hold(&tx, &id).await?;
            let is_same = known.name == name && known.groups == groups;
            let update = if is_same {
                Entity::update_many().filter(Column::Id.eq(&id))
            } else {
                change(&id).col_expr(Column::Name, Expr::value(name)).col_expr(Column::Groups, Expr::value(groups))
            };
            let update = update.col_expr(Column::LastLoginAt, Expr::value(Some(second(now))));
            let row = update.exec_with_returning(&tx).await?.into_iter().next().ok_or(StoreError::NotFound)?;
            tx.commit().await?;
            row.try_into()
        })
        .await
    }

    /// Shuts a person out and revokes all that they can sign in with, in one step. How many
    /// credentials that were. A lock that is there keeps its time, reason and author.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn user_lock(&self, id: &str, reason: &str, by: &str, now: OffsetDateTime) -> Result<u64, StoreError> {
        let lock = change(id)
            .col_expr(Column::LockedAt, Expr::value(Some(second(now))))
            .col_expr(Column::LockedReason, Expr::value(reason))
            .col_expr(Column::LockedBy, Expr::value(by));
        let locked = told("user.locked", id, by, now);
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            let known = hold(&tx, &id).await?;
            let revoked = revoke_all(&tx, &id, None, "locked", now).await?;
            if known.locked_at.is_none() {
                lock.exec(&tx).await?;
                outbox_add(&tx, &locked).await?;
            }
            tx.commit().await?;
            Ok(revoked)
        })
        .await
    }

    /// Lets a person in again; whether they were locked. What was revoked stays revoked.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn user_unlock(&self, id: &str, by: &str, now: OffsetDateTime) -> Result<bool, StoreError> {
        let unlock = change(id)
            .col_expr(Column::LockedAt, Expr::value(None::<OffsetDateTime>))
            .col_expr(Column::LockedReason, Expr::value(None::<String>))
            .col_expr(Column::LockedBy, Expr::value(None::<String>));
        let unlocked = told("user.unlocked", id, by, now);
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            let was_locked = hold(&tx, &id).await?.locked_at.is_some();
            if was_locked {
                unlock.exec(&tx).await?;
                outbox_add(&tx, &unlocked).await?;
                tx.commit().await?;
            }
            Ok(was_locked)
        })
        .await
    }

    /// Removes a person and all that they can sign in with.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn user_delete(&self, id: &str) -> Result<(), StoreError> {
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            hold(&tx, &id).await?;
            delete_all(&tx, &id).await?;
            Entity::delete_by_id(&id).exec(&tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Gives a person a role; whether they did not have it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn user_role_grant(&self, id: &str, role: &str) -> Result<bool, StoreError> {
        let role = role.to_owned();
        self.user_roles(id, move |roles| {
            let is_new = !roles.contains(&role);
            if is_new {
                roles.push(role);
            }
        })
        .await
    }

    /// Takes a role away; whether they had it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn user_role_revoke(&self, id: &str, role: &str) -> Result<bool, StoreError> {
        let role = role.to_owned();
        self.user_roles(id, move |roles| roles.retain(|held| *held != role)).await
    }

    async fn user_roles(
        &self,
        id: &str,
        edit: impl FnOnce(&mut Vec<String>) + Send + 'static,
    ) -> Result<bool, StoreError> {
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            let before = list_from(&hold(&tx, &id).await?.roles)?;
            let mut after = before.clone();
            edit(&mut after);
            if after == before {
                return Ok(false);
            }
            change(&id).col_expr(Column::Roles, Expr::value(list_text(&after))).exec(&tx).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }
}
