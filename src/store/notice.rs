//! Lines that a person sees on their account page, on what happened to their account.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{QueryOrder as _, QuerySelect as _};
use time::OffsetDateTime;
use uuid::Uuid;

use super::value::second;
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "notices")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub user_id: String,
        pub kind: String,
        pub text: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub seen_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

/// A notice, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeRow {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// What happened, as a word for programs.
    pub kind: String,
    /// What happened, for the person.
    pub text: String,
    /// When.
    pub created_at: OffsetDateTime,
    /// When the person saw it.
    pub seen_at: Option<OffsetDateTime>,
}

impl From<entity::Model> for NoticeRow {
    fn from(row: entity::Model) -> Self {
        Self { id: row.id, kind: row.kind, text: row.text, created_at: row.created_at, seen_at: row.seen_at }
    }
}

impl Store {
    /// Tells a person something.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is no such person; [`StoreError::Unavailable`].
    pub async fn notice_add(
        &self,
        user_id: &str,
        kind: &str,
        text: &str,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let insert = entity::ActiveModel {
            id: Set(Uuid::now_v7().to_string()),
            user_id: Set(user_id.to_owned()),
            kind: Set(kind.to_owned()),
            text: Set(text.to_owned()),
            created_at: Set(second(now)),
            seen_at: Set(None),
        };
        let db = self.inner.write.clone();
        self.run(async move { Ok(Entity::insert(insert).exec_without_returning(&db).await.map(|_| ())?) }).await
    }

    /// At most `limit` notices of a person, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notice_list(&self, user_id: &str, limit: u64) -> Result<Vec<NoticeRow>, StoreError> {
        let select = Entity::find()
            .filter(Column::UserId.eq(user_id))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(limit);
        let db = self.inner.read.clone();
        self.run(async move { Ok(select.all(&db).await?.into_iter().map(NoticeRow::from).collect()) }).await
    }

    /// Notes that a person has seen all that there is by now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn notices_seen(&self, user_id: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        let now = second(now);
        let update = Entity::update_many()
            .col_expr(Column::SeenAt, Expr::value(Some(now)))
            .filter(Column::UserId.eq(user_id))
            .filter(Column::CreatedAt.lte(now))
            .filter(Column::SeenAt.is_null());
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await.map(|_| ())?) }).await
    }
}
