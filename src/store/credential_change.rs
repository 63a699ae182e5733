//! What may happen to a credential: it is used, changed, rotated, revoked; with its person, deleted.

use std::time::Duration;

use ipnet::IpNet;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{DatabaseTransaction, ExprTrait as _, QuerySelect as _, UpdateMany};
use time::OffsetDateTime;

use super::append::stored;
use super::credential::by_id;
use super::credential::entity::{Column, Entity};
use super::user_change::hold;
use super::value::{begin, list_text, second};
use super::{CredentialKind, CredentialRow, Store, StoreError};

/// What to change about a credential; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialChange {
    /// Name for people.
    pub name: Option<String>,
    /// Its own roles.
    pub roles: Option<Vec<String>>,
    /// The only network it is good from; `Some(None)` for all.
    pub network: Option<Option<IpNet>>,
    /// The only apps it is good for; empty for all.
    pub apps: Option<Vec<String>>,
}

/// A change that counts the version up.
fn change() -> UpdateMany<Entity> {
    Entity::update_many().col_expr(Column::Version, Expr::col(Column::Version).add(1))
}

/// A revocation of those that are not revoked yet.
fn revocation(reason: &str, now: OffsetDateTime) -> UpdateMany<Entity> {
    change()
        .col_expr(Column::RevokedAt, Expr::value(Some(second(now))))
        .col_expr(Column::RevokedReason, Expr::value(reason))
        .filter(Column::RevokedAt.is_null())
}

/// Revokes what a person has; how many that were. The caller holds the person.
pub(super) async fn revoke_all(
    tx: &DatabaseTransaction,
    user: &str,
    except: Option<&str>,
    reason: &str,
    now: OffsetDateTime,
) -> Result<u64, StoreError> {
    let mut update = revocation(reason, now).filter(Column::UserId.eq(user));
    if let Some(id) = except {
        update = update.filter(Column::Id.ne(id));
    }
    Ok(update.exec(tx).await?.rows_affected)
}

/// Deletes what a person has. The caller holds the person.
pub(super) async fn delete_all(tx: &DatabaseTransaction, user: &str) -> Result<(), StoreError> {
    Ok(Entity::delete_many().filter(Column::UserId.eq(user)).exec(tx).await.map(|_| ())?)
}

/// Takes from a person's sessions what they have shown. The caller holds the person.
pub(super) async fn forget_factor(tx: &DatabaseTransaction, user: &str) -> Result<(), StoreError> {
    let update = change()
        .col_expr(Column::FactorAt, Expr::value(None::<OffsetDateTime>))
        .col_expr(Column::FactorMethod, Expr::value(None::<String>))
        .col_expr(Column::FactorStrong, Expr::value(false))
        .filter(Column::UserId.eq(user).and(Column::FactorAt.is_not_null()));
    Ok(update.exec(tx).await.map(|_| ())?)
}

impl Store {
    /// Revokes a credential for good; whether it was not revoked before. One that is keeps its first
    /// time and reason.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn credential_revoke(&self, id: &str, reason: &str, now: OffsetDateTime) -> Result<bool, StoreError> {
        let update = revocation(reason, now).filter(Column::Id.eq(id));
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let is_new = update.exec(&db).await?.rows_affected > 0;
            if is_new || by_id(&db, &id).await?.is_some() { Ok(is_new) } else { Err(StoreError::NotFound) }
        })
        .await
    }

    /// Revokes all that a person can sign in with, but `except`; how many that were.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such person; [`StoreError::Unavailable`].
    pub async fn credentials_revoke_of_user(
        &self,
        user: &str,
        except: Option<&str>,
        reason: &str,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let db = self.inner.write.clone();
        let (user, except, reason) = (user.to_owned(), except.map(str::to_owned), reason.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            hold(&tx, &user).await?;
            let count = revoke_all(&tx, &user, except.as_deref(), &reason, now).await?;
            tx.commit().await?;
            Ok(count)
        })
        .await
    }

    /// Gives a credential another secret. The one that it has stays good until `overlap_until`; the
    /// one before that does not.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is in another version or revoked; [`StoreError::NotFound`];
    /// [`StoreError::Conflict`] when the hash exists; [`StoreError::Unavailable`].
    pub async fn credential_rotate(
        &self,
        id: &str,
        new_hash: &[u8; 32],
        overlap_until: OffsetDateTime,
        expected_version: u64,
    ) -> Result<CredentialRow, StoreError> {
        let update = change()
            .col_expr(Column::PreviousHash, Expr::col(Column::SecretHash))
            .col_expr(Column::PreviousUntil, Expr::value(Some(second(overlap_until))))
            .col_expr(Column::SecretHash, Expr::value(new_hash.to_vec()))
            .filter(Column::RevokedAt.is_null());
        self.credential_changed(id, update, expected_version).await
    }

    /// Changes a credential that is in the version `expected_version`.
    ///
    /// # Errors
    /// [`StoreError::Stale`]; [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn credential_update(
        &self,
        id: &str,
        wanted: CredentialChange,
        expected_version: u64,
    ) -> Result<CredentialRow, StoreError> {
        let mut update = change();
        if let Some(name) = wanted.name {
            update = update.col_expr(Column::Name, Expr::value(name));
        }
        if let Some(roles) = wanted.roles {
            update = update.col_expr(Column::Roles, Expr::value(list_text(&roles)));
        }
        if let Some(network) = wanted.network {
            update = update.col_expr(Column::Network, Expr::value(network.map(|network| network.to_string())));
        }
        if let Some(apps) = wanted.apps {
            update = update.col_expr(Column::Apps, Expr::value(list_text(&apps)));
        }
        self.credential_changed(id, update, expected_version).await
    }

    async fn credential_changed(
        &self,
        id: &str,
        update: UpdateMany<Entity>,
        expected_version: u64,
    ) -> Result<CredentialRow, StoreError> {
        let update = update.filter(Column::Id.eq(id)).filter(Column::Version.eq(stored(expected_version)?));
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let is_done = update.exec(&db).await?.rows_affected > 0;
            let row = by_id(&db, &id).await?.ok_or(StoreError::NotFound)?;
            if is_done { Ok(row) } else { Err(StoreError::Stale) }
        })
        .await
    }

    /// Notes that its person showed a factor in a session; whether that counts. Never an earlier one than is
    /// noted already, never a weaker one of the same second, and not in a revoked session.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn credential_verified(
        &self,
        id: &str,
        factor_at: OffsetDateTime,
        method: &str,
        strong: bool,
    ) -> Result<bool, StoreError> {
        let at = second(factor_at);
        let mut is_next = Column::FactorAt.is_null().or(Column::FactorAt.lt(at));
        let is_same = Column::FactorAt.eq(at);
        is_next = is_next.or(if strong { is_same } else { is_same.and(Column::FactorStrong.eq(false)) });
        let update = change()
            .col_expr(Column::FactorAt, Expr::value(Some(at)))
            .col_expr(Column::FactorMethod, Expr::value(method))
            .col_expr(Column::FactorStrong, Expr::value(strong))
            .filter(Column::Id.eq(id).and(Column::UserId.is_not_null()).and(Column::RevokedAt.is_null()))
            .filter(is_next);
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }

    /// Makes live sessions of a kind end after `idle` without use, in one step; how many there were. One
    /// that has ended by the old limit stays ended.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn sessions_set_idle(
        &self,
        kind: CredentialKind,
        idle: Duration,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let now = second(now);
        let wanted = stored(idle.as_secs())?;
        let is_live = Column::Kind
            .eq(kind.word())
            .and(Column::RevokedAt.is_null())
            .and(Column::ExpiresAt.gt(now))
            .and(Column::IdleSeconds.ne(wanted));
        let limits = Entity::find()
            .select_only()
            .column(Column::IdleSeconds)
            .filter(is_live.clone())
            .distinct()
            .into_tuple::<Option<i64>>();
        let db = self.inner.write.clone();
        self.run(async move {
            let tx = begin(&db).await?;
            let mut count = 0;
            for limit in limits.all(&tx).await?.into_iter().flatten() {
                let update = change()
                    .col_expr(Column::IdleSeconds, Expr::value(Some(wanted)))
                    .filter(is_live.clone())
                    .filter(Column::IdleSeconds.eq(limit))
                    .filter(Column::LastUsedAt.gt(now - time::Duration::seconds(limit)));
                count += update.exec(&tx).await?.rows_affected;
            }
            tx.commit().await?;
            Ok(count)
        })
        .await
    }

    /// Notes that a credential was used; never earlier than is noted already, and not of a
    /// revoked one. Callers do so now and
    /// then, not on every request.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn credential_touch(&self, id: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        let now = second(now);
        let update = Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::Id.eq(id).and(Column::LastUsedAt.lt(now)).and(Column::RevokedAt.is_null()));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await.map(|_| ())?) }).await
    }
}
