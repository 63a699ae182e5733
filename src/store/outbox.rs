//! What others must hear of: notices, written in the transaction of their cause, and what became of each.
//!
//! A notice waits until it was sent. One that cannot be sent ends as dead; one that nobody was there to
//! send ends as skipped. Both can be made to wait again; what was sent cannot.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{ExprTrait as _, QueryOrder as _, QuerySelect as _, UpdateMany};
use time::OffsetDateTime;
use uuid::Uuid;

use super::append::{loaded, stored};
use super::value::second;
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub kind: String,
        pub data: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub state: String,
        pub attempts: i64,
        pub next_at: TimeDateTimeWithTimeZone,
        pub last_error: Option<String>,
        pub ended_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

/// The most bytes of a notice's data, as the database holds it to them.
const MOST_DATA: usize = 65_536;
/// The most characters of why a notice could not be sent.
const MOST_ERROR: usize = 500;

/// Something that others must hear of. It leaves the gateway: no secrets, no addresses of people, ids
/// rather than names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What happened, such as `user.locked`. `docs/webhooks.md` lists them.
    pub kind: &'static str,
    /// The particulars, an object.
    pub data: serde_json::Value,
    /// When it happened.
    pub at: OffsetDateTime,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageState {
    /// It is to be sent.
    Waiting,
    /// The receiver has it.
    Sent,
    /// It could not be sent, and is not tried any more.
    Dead,
    /// Nobody was there to send it.
    Skipped,
}

impl MessageState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Dead, Self::Skipped];

    /// Its word in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dead => "dead",
            Self::Skipped => "skipped",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A notice in the outbox, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRow {
    /// Its id, a UUID of version 7. Receivers know a notice that comes twice by it.
    pub id: String,
    /// What happened.
    pub kind: String,
    /// The particulars, an object.
    pub data: serde_json::Value,
    /// When it happened.
    pub created_at: OffsetDateTime,
    /// What became of it.
    pub state: MessageState,
    /// How often it was tried to send it, since it last began to wait.
    pub attempts: u64,
    /// When it is to be tried next.
    pub next_at: OffsetDateTime,
    /// Why the last attempt failed, in words that hold no secret.
    pub last_error: Option<String>,
    /// Since when it does not wait any more.
    pub ended_at: Option<OffsetDateTime>,
}

impl TryFrom<entity::Model> for MessageRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("the {what} of a notice cannot be read"));
        Ok(Self {
            state: MessageState::parse(&row.state).ok_or_else(|| corrupt("state"))?,
            data: serde_json::from_str(&row.data).map_err(|_| corrupt("data"))?,
            attempts: loaded(row.attempts)?,
            id: row.id,
            kind: row.kind,
            created_at: row.created_at,
            next_at: row.next_at,
            last_error: row.last_error,
            ended_at: row.ended_at,
        })
    }
}

/// How full the outbox is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Notices that wait.
    pub waiting: u64,
    /// Notices that could not be sent.
    pub dead: u64,
    /// When the oldest of those that wait happened.
    pub oldest: Option<OffsetDateTime>,
}

/// Writes a notice in the caller's transaction: it is there if and only if its cause is.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub(in crate::store) async fn outbox_add(db: &impl ConnectionTrait, notice: &Notice) -> Result<(), StoreError> {
    let mut data = notice.data.to_string();
    if data.len() > MOST_DATA {
        // The cause counts for more than its particulars.
        data = serde_json::json!({ "left_out": "the particulars are too long" }).to_string();
    }
    let at = second(notice.at);
    let row = entity::ActiveModel {
        id: Set(Uuid::now_v7().to_string()),
        kind: Set(notice.kind.to_owned()),
        data: Set(data),
        created_at: Set(at),
        state: Set(MessageState::Waiting.as_str().to_owned()),
        attempts: Set(0),
        next_at: Set(at),
        last_error: Set(None),
        ended_at: Set(None),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

fn ends(state: MessageState, error: Option<&str>, now: OffsetDateTime) -> UpdateMany<Entity> {
    waiting()
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::LastError, bounded(error))
        .col_expr(Column::EndedAt, Expr::value(Some(second(now))))
}

fn waiting() -> UpdateMany<Entity> {
    Entity::update_many().filter(Column::State.eq(MessageState::Waiting.as_str()))
}

fn bounded(error: Option<&str>) -> SimpleExpr {
    Expr::value(error.map(|text| text.chars().take(MOST_ERROR).collect::<String>()))
}

impl Store {
    /// Writes a notice whose cause is not in the database, such as a change on the rack.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn outbox_put(&self, notice: &Notice) -> Result<(), StoreError> {
        let (db, notice) = (self.inner.write.clone(), notice.clone());
        self.run(async move { outbox_add(&db, &notice).await }).await
    }

    /// At most `limit` notices that are to be sent by now, those that have waited longest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn outbox_due(&self, now: OffsetDateTime, limit: u64) -> Result<Vec<MessageRow>, StoreError> {
        let select = Entity::find()
            .filter(Column::State.eq(MessageState::Waiting.as_str()))
            .filter(Column::NextAt.lte(second(now)))
            .order_by_asc(Column::NextAt)
            .order_by_asc(Column::Id)
            .limit(limit);
        self.outbox_rows(select).await
    }

    /// At most `limit` notices before the one with the id `before`, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn outbox_page(
        &self,
        state: Option<MessageState>,
        before: Option<&str>,
        limit: u64,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let mut select = Entity::find().order_by_desc(Column::Id).limit(limit);
        if let Some(state) = state {
            select = select.filter(Column::State.eq(state.as_str()));
        }
        if let Some(id) = before {
            select = select.filter(Column::Id.lt(id));
        }
        self.outbox_rows(select).await
    }

    async fn outbox_rows(&self, select: Select<Entity>) -> Result<Vec<MessageRow>, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move { select.all(&db).await?.into_iter().map(MessageRow::try_from).collect() }).await
    }

    /// One notice.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn outbox_find(&self, id: &str) -> Result<Option<MessageRow>, StoreError> {
        let (db, select) = (self.inner.read.clone(), Entity::find_by_id(id));
        self.run(async move { select.one(&db).await?.map(MessageRow::try_from).transpose() }).await
    }

    /// Notes that the receiver has a notice. False when it did not wait any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn outbox_sent(&self, row: &MessageRow, now: OffsetDateTime) -> Result<bool, StoreError> {
        self.outbox_tried(row, ends(MessageState::Sent, None, now)).await
    }

    /// Notes that an attempt to send a notice failed, and when to try again; without a time it is dead. False
    /// when somebody else has noted an attempt meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn outbox_failed(
        &self,
        row: &MessageRow,
        error: &str,
        again: Option<OffsetDateTime>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = match again {
            None => ends(MessageState::Dead, Some(error), now),
            Some(at) => waiting()
                .col_expr(Column::NextAt, Expr::value(second(at)))
                .col_expr(Column::LastError, bounded(Some(error)))
                .filter(Column::Attempts.eq(stored(row.attempts)?)),
        };
        self.outbox_tried(row, update).await
    }

    async fn outbox_tried(&self, row: &MessageRow, update: UpdateMany<Entity>) -> Result<bool, StoreError> {
        let attempts = stored(row.attempts.saturating_add(1))?;
        let update = update.col_expr(Column::Attempts, Expr::value(attempts)).filter(Column::Id.eq(&row.id));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }

    /// Skips what happened before `untried` and was never tried, and what happened before `all`. How many
    /// those are.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn outbox_skip(
        &self,
        untried: OffsetDateTime,
        all: OffsetDateTime,
        now: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let old = Column::CreatedAt.lt(second(untried)).and(Column::Attempts.eq(0));
        let update = ends(MessageState::Skipped, Some("no sender is configured"), now)
            .filter(old.or(Column::CreatedAt.lt(second(all))));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected) }).await
    }

    /// Makes a notice wait again that is dead or was skipped, as if it were new.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Stale`] when it waits already or was sent;
    /// [`StoreError::Unavailable`].
    pub async fn outbox_retry(&self, id: &str, now: OffsetDateTime) -> Result<MessageRow, StoreError> {
        let ended = [MessageState::Dead, MessageState::Skipped].map(MessageState::as_str);
        let update = Entity::update_many()
            .col_expr(Column::State, Expr::value(MessageState::Waiting.as_str()))
            .col_expr(Column::Attempts, Expr::value(0_i64))
            .col_expr(Column::NextAt, Expr::value(second(now)))
            .col_expr(Column::EndedAt, Expr::value(None::<OffsetDateTime>))
            .filter(Column::Id.eq(id))
            .filter(Column::State.is_in(ended));
        let (db, select) = (self.inner.write.clone(), Entity::find_by_id(id));
        self.run(async move {
            match update.exec_with_returning(&db).await?.into_iter().next() {
                Some(row) => row.try_into(),
                None => Err(select.one(&db).await?.map_or(StoreError::NotFound, |_| StoreError::Stale)),
            }
        })
        .await
    }

    /// How full the outbox is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        let count = |state: MessageState| Entity::find().filter(Column::State.eq(state.as_str()));
        let oldest = count(MessageState::Waiting).order_by_asc(Column::CreatedAt).limit(1);
        let db = self.inner.read.clone();
        self.run(async move {
            Ok(OutboxCounts {
                waiting: count(MessageState::Waiting).count(&db).await?,
                dead: count(MessageState::Dead).count(&db).await?,
                oldest: oldest.one(&db).await?.map(|row| row.created_at),
            })
        })
        .await
    }
}
