//! What may become of a deploy approval. Each change holds the request's row until it is done, so that of
//! two at once one sees what the other did; the database refuses what is not listed here.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, DatabaseTransaction, ExprTrait as _, UpdateMany};
use time::OffsetDateTime;

use super::append::stored;
use super::approval::entity::{Column, Entity};
use super::approval::{held, vote, with_votes};
use super::approval_row::{ApprovalRow, ApprovalState, Party};
use super::outbox::{Notice, outbox_add};
use super::value::{begin, second};
use super::{Store, StoreError};

/// A change of the request in this version, to this state.
fn change(row: &ApprovalRow, to: ApprovalState) -> Result<UpdateMany<Entity>, StoreError> {
    Ok(Entity::update_many()
        .col_expr(Column::State, Expr::value(to.as_str()))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(row.id.as_str()))
        .filter(Column::Version.eq(stored(row.version)?)))
}

async fn changed(db: &impl ConnectionTrait, update: UpdateMany<Entity>) -> Result<ApprovalRow, StoreError> {
    let models = update.exec_with_returning(db).await?;
    with_votes(db, models).await?.pop().ok_or(StoreError::Stale)
}

/// Notes that the time of a request is over. The caller holds it.
pub(super) async fn expire(tx: &DatabaseTransaction, row: &ApprovalRow, now: OffsetDateTime) -> Result<(), StoreError> {
    let update = change(row, ApprovalState::Expired)?.col_expr(Column::EndedAt, Expr::value(Some(second(now))));
    let row = changed(tx, update).await?;
    outbox_add(tx, &row.notice("deploy-approval.expired", now)).await
}

/// Whether one may end in this way.
const fn may_end(from: ApprovalState, to: ApprovalState) -> bool {
    match to {
        ApprovalState::Deployed => matches!(from, ApprovalState::Approved),
        ApprovalState::Rejected | ApprovalState::Revoked | ApprovalState::Expired => from.is_live(),
        ApprovalState::Pending | ApprovalState::Approved => false,
    }
}

impl Store {
    /// Notes that a person agrees, while the request is pending. Once: whoever does so again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is not pending any more; [`StoreError::NotFound`];
    /// [`StoreError::Unavailable`].
    pub async fn approval_vote(
        &self,
        id: &str,
        user: &str,
        notes: &str,
        now: OffsetDateTime,
    ) -> Result<ApprovalRow, StoreError> {
        let insert = vote::ActiveModel {
            approval_id: Set(id.to_owned()),
            user_id: Set(user.to_owned()),
            at: Set(second(now)),
            notes: Set(notes.to_owned()),
        };
        let (db, id, user) = (self.inner.write.clone(), id.to_owned(), user.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            let row = held(&tx, &id).await?;
            if row.state_at(now) != ApprovalState::Pending {
                return Err(StoreError::Stale);
            }
            if row.votes.iter().any(|vote| vote.user_id == user) {
                return Ok(row);
            }
            vote::Entity::insert(insert).exec(&tx).await?;
            let row = held(&tx, &id).await?;
            tx.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Makes a pending request a grant that lasts until `until`, with its notice.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is not pending any more, or nobody but those behind it agrees;
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn approval_grant(
        &self,
        id: &str,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<ApprovalRow, StoreError> {
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            let row = held(&tx, &id).await?;
            if row.state_at(now) != ApprovalState::Pending || row.counted().next().is_none() {
                return Err(StoreError::Stale);
            }
            let update = change(&row, ApprovalState::Approved)?
                .col_expr(Column::ApprovedAt, Expr::value(Some(second(now))))
                .col_expr(Column::ExpiresAt, Expr::value(second(until)));
            let row = changed(&tx, update).await?;
            outbox_add(&tx, &row.notice("deploy-approval.approved", now)).await?;
            tx.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Lets a grant last until `until`, if it was extended `extensions` times before.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is no grant any more or was extended meanwhile; [`StoreError::NotFound`];
    /// [`StoreError::Unavailable`].
    pub async fn approval_extend(
        &self,
        id: &str,
        extensions: u32,
        until: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<ApprovalRow, StoreError> {
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            let row = held(&tx, &id).await?;
            let is_it = row.state_at(now) == ApprovalState::Approved && row.extensions == extensions;
            if !is_it || second(until) <= row.expires_at {
                return Err(StoreError::Stale);
            }
            let update = change(&row, ApprovalState::Approved)?
                .col_expr(Column::Extensions, Expr::col(Column::Extensions).add(1))
                .col_expr(Column::ExpiresAt, Expr::value(second(until)));
            let row = changed(&tx, update).await?;
            tx.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Ends a request: what was pending or approved is rejected, revoked or expired, what was approved is
    /// deployed. `notice` is written in the same transaction. A grant whose time was over while it was used
    /// can still become deployed.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when its state does not allow that; [`StoreError::NotFound`];
    /// [`StoreError::Unavailable`].
    pub async fn approval_end(
        &self,
        id: &str,
        to: ApprovalState,
        reason: Option<&str>,
        by: Option<&Party>,
        now: OffsetDateTime,
        notice: Option<&Notice>,
    ) -> Result<ApprovalRow, StoreError> {
        let (db, id, notice) = (self.inner.write.clone(), id.to_owned(), notice.cloned());
        let (reason, by) = (reason.map(str::to_owned), by.cloned());
        self.run(async move {
            let tx = begin(&db).await?;
            let row = held(&tx, &id).await?;
            if !may_end(row.state, to) {
                return Err(StoreError::Stale);
            }
            let (kind, who) = by.map(|by| (by.kind, by.id)).unzip();
            let update = change(&row, to)?
                .col_expr(Column::EndedAt, Expr::value(Some(second(now))))
                .col_expr(Column::Reason, Expr::value(reason))
                .col_expr(Column::EndedByKind, Expr::value(kind))
                .col_expr(Column::EndedById, Expr::value(who));
            let row = changed(&tx, update).await?;
            if let Some(notice) = &notice {
                outbox_add(&tx, notice).await?;
            }
            tx.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Notes that the time of a request is over; whether it was, and did not say so yet.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn approval_expire(&self, id: &str, now: OffsetDateTime) -> Result<bool, StoreError> {
        let (db, id) = (self.inner.write.clone(), id.to_owned());
        self.run(async move {
            let tx = begin(&db).await?;
            let row = held(&tx, &id).await?;
            // One that was extended meanwhile, or ended, stays as it is.
            if !row.state.is_live() || row.state_at(now) != ApprovalState::Expired {
                return Ok(false);
            }
            expire(&tx, &row, now).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }
}
