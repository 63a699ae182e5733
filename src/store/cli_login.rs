//! Sign-ins that a command-line client waits for, while a person decides on them in a browser.

use std::net::IpAddr;

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, SimpleExpr};
use time::OffsetDateTime;

use super::value::{parsed, second};
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cli_logins")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub user_code: String,
        pub code_challenge: String,
        pub device_name: String,
        pub device_os: String,
        pub client_version: String,
        pub source_ip: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub expires_at: TimeDateTimeWithTimeZone,
        pub decided_at: Option<TimeDateTimeWithTimeZone>,
        pub approved: Option<bool>,
        pub user_id: Option<String>,
        pub taken_at: Option<TimeDateTimeWithTimeZone>,
        pub factor_at: Option<TimeDateTimeWithTimeZone>,
        pub factor_method: Option<String>,
        pub factor_strong: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A sign-in to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCliLogin {
    /// Its id, which only the client knows.
    pub id: String,
    /// What the person compares and types.
    pub user_code: String,
    /// The client's challenge (RFC 7636 §4.2), of method S256.
    pub code_challenge: String,
    /// The device, in its own words.
    pub device_name: String,
    /// Its operating system, in its own words.
    pub device_os: String,
    /// The client's version, in its own words.
    pub client_version: String,
    /// Where it asks from.
    pub source_ip: IpAddr,
    /// From when on it is refused.
    pub expires_at: OffsetDateTime,
}

/// A sign-in, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliLoginRow {
    /// Its id, which only the client knows.
    pub id: String,
    /// What the person compares and types.
    pub user_code: String,
    /// The client's challenge (RFC 7636 §4.2), of method S256.
    pub code_challenge: String,
    /// The device, in its own words.
    pub device_name: String,
    /// Its operating system, in its own words.
    pub device_os: String,
    /// The client's version, in its own words.
    pub client_version: String,
    /// Where it asked from.
    pub source_ip: IpAddr,
    /// When it began.
    pub created_at: OffsetDateTime,
    /// From when on it is refused.
    pub expires_at: OffsetDateTime,
    /// When somebody decided.
    pub decided_at: Option<OffsetDateTime>,
    /// What they decided.
    pub approved: Option<bool>,
    /// Who decided; on approval, whom the session will act as.
    pub user_id: Option<String>,
    /// When the client was given its session.
    pub taken_at: Option<OffsetDateTime>,
    /// When the person who approved it last showed a factor in their session.
    pub factor_at: Option<OffsetDateTime>,
    /// By which method.
    pub factor_method: Option<String>,
    /// Whether that resists phishing.
    pub factor_strong: bool,
}

impl TryFrom<entity::Model> for CliLoginRow {
    type Error = StoreError;

    fn try_from(row: entity::Model) -> Result<Self, StoreError> {
        let source_ip = parsed(Some(&row.source_ip), "an address")?;
        Ok(Self {
            source_ip: source_ip.ok_or(StoreError::NotFound)?,
            id: row.id,
            user_code: row.user_code,
            code_challenge: row.code_challenge,
            device_name: row.device_name,
            device_os: row.device_os,
            client_version: row.client_version,
            created_at: row.created_at,
            expires_at: row.expires_at,
            decided_at: row.decided_at,
            approved: row.approved,
            user_id: row.user_id,
            taken_at: row.taken_at,
            factor_at: row.factor_at,
            factor_method: row.factor_method,
            factor_strong: row.factor_strong,
        })
    }
}

impl Store {
    /// Begins a sign-in of a command-line client.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the code exists: draw another; [`StoreError::Unavailable`].
    pub async fn cli_login_begin(&self, new: NewCliLogin, now: OffsetDateTime) -> Result<(), StoreError> {
        let insert = entity::ActiveModel {
            id: Set(new.id),
            user_code: Set(new.user_code),
            code_challenge: Set(new.code_challenge),
            device_name: Set(new.device_name),
            device_os: Set(new.device_os),
            client_version: Set(new.client_version),
            source_ip: Set(new.source_ip.to_string()),
            created_at: Set(second(now)),
            expires_at: Set(second(new.expires_at)),
            decided_at: Set(None),
            approved: Set(None),
            user_id: Set(None),
            taken_at: Set(None),
            factor_at: Set(None),
            factor_method: Set(None),
            factor_strong: Set(false),
        };
        let db = self.inner.write.clone();
        self.run(async move { Ok(entity::Entity::insert(insert).exec_without_returning(&db).await.map(|_| ())?) }).await
    }

    /// Finds one by id, whatever became of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn cli_login_find(&self, id: &str) -> Result<Option<CliLoginRow>, StoreError> {
        self.cli_login_where(entity::Column::Id.eq(id)).await
    }

    /// Finds one by the code that the person has, whatever became of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn cli_login_find_by_code(&self, code: &str) -> Result<Option<CliLoginRow>, StoreError> {
        self.cli_login_where(entity::Column::UserCode.eq(code)).await
    }

    async fn cli_login_where(&self, filter: SimpleExpr) -> Result<Option<CliLoginRow>, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move {
            let row = entity::Entity::find().filter(filter).one(&db).await?;
            row.map(CliLoginRow::try_from).transpose()
        })
        .await
    }

    /// Notes what a person decided; whether it counts. The first decision does, before the end. On approval,
    /// the session will have shown `factor`: when, by which method, and whether that resists phishing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is no such person; [`StoreError::Unavailable`].
    pub async fn cli_login_decide(
        &self,
        code: &str,
        user_id: &str,
        approved: bool,
        factor: Option<(OffsetDateTime, String, bool)>,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let now = second(now);
        let factor = factor.filter(|_| approved).map(|(at, method, strong)| (second(at), method, strong));
        let is_strong = factor.as_ref().is_some_and(|(_, _, strong)| *strong);
        let (at, method) = factor.map(|(at, method, _)| (at, method)).unzip();
        let update = entity::Entity::update_many()
            .col_expr(entity::Column::FactorAt, Expr::value(at))
            .col_expr(entity::Column::FactorMethod, Expr::value(method))
            .col_expr(entity::Column::FactorStrong, Expr::value(is_strong))
            .col_expr(entity::Column::DecidedAt, Expr::value(Some(now)))
            .col_expr(entity::Column::Approved, Expr::value(Some(approved)))
            .col_expr(entity::Column::UserId, Expr::value(user_id))
            .filter(entity::Column::UserCode.eq(code))
            .filter(entity::Column::DecidedAt.is_null())
            .filter(entity::Column::ExpiresAt.gt(now));
        let db = self.inner.write.clone();
        self.run(async move { Ok(update.exec(&db).await?.rows_affected > 0) }).await
    }

    /// Takes an approved one, so that a session can be made of it: of several callers one gets it,
    /// before its end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn cli_login_take(&self, id: &str, now: OffsetDateTime) -> Result<Option<CliLoginRow>, StoreError> {
        let now = second(now);
        let update = entity::Entity::update_many()
            .col_expr(entity::Column::TakenAt, Expr::value(Some(now)))
            .filter(entity::Column::Id.eq(id))
            .filter(entity::Column::Approved.eq(true))
            .filter(entity::Column::TakenAt.is_null())
            .filter(entity::Column::ExpiresAt.gt(now));
        let db = self.inner.write.clone();
        self.run(async move {
            let row = update.exec_with_returning(&db).await?.into_iter().next();
            row.map(CliLoginRow::try_from).transpose()
        })
        .await
    }
}
