//! The processes that have written records, and how far each one's open intents reach back.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use time::OffsetDateTime;

use super::append::{loaded, stored};
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "instances")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub started_at: TimeDateTimeWithTimeZone,
        pub first_seq: i64,
        pub open_seq: i64,
        pub ended_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One run of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name.
    pub id: String,
    /// When it started.
    pub started_at: OffsetDateTime,
    /// The first record that it could have written.
    pub first_seq: u64,
    /// No intent of its own before this record is open.
    pub open_seq: u64,
    /// When it ended in good order, or was found dead and its intents were closed.
    pub ended_at: Option<OffsetDateTime>,
}

impl TryFrom<entity::Model> for Instance {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            started_at: row.started_at,
            first_seq: loaded(row.first_seq)?,
            open_seq: loaded(row.open_seq)?,
            ended_at: row.ended_at,
        })
    }
}

impl Store {
    /// Registers a run whose first record will be `first_seq` or later.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the name was used before; [`StoreError::Unavailable`].
    pub async fn instance_begin(&self, id: &str, now: OffsetDateTime, first_seq: u64) -> Result<(), StoreError> {
        let first = stored(first_seq)?;
        let row = entity::ActiveModel {
            id: Set(id.to_owned()),
            started_at: Set(now),
            first_seq: Set(first),
            open_seq: Set(first),
            ended_at: Set(None),
        };
        let db = self.inner.write.clone();
        self.run(async move { Ok(entity::Entity::insert(row).exec_without_returning(&db).await.map(|_| ())?) }).await
    }

    /// Notes that no intent of `id` before `open_seq` is open, and that it lives.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn instance_progress(&self, id: &str, open_seq: u64) -> Result<(), StoreError> {
        let update = entity::Entity::update_many()
            .col_expr(entity::Column::OpenSeq, Expr::value(stored(open_seq)?))
            .col_expr(entity::Column::EndedAt, Expr::value(None::<OffsetDateTime>))
            .filter(entity::Column::Id.eq(id));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await.map(|_| ())?) }).await
    }

    /// Notes that `id` is over and all its intents are closed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn instance_end(&self, id: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        let update = entity::Entity::update_many()
            .col_expr(entity::Column::EndedAt, Expr::value(Some(now)))
            .filter(entity::Column::Id.eq(id));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await.map(|_| ())?) }).await
    }

    /// The runs that have not ended in good order, whether alive or dead.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn instance_list_open(&self) -> Result<Vec<Instance>, StoreError> {
        // Read where writes go: a run that just ended must not be seen as open.
        let db = self.inner.write.clone();
        self.run(async move {
            let rows = entity::Entity::find().filter(entity::Column::EndedAt.is_null()).all(&db).await?;
            rows.into_iter().map(Instance::try_from).collect()
        })
        .await
    }
}
