//! People, their credentials, and the number that changes when they do.
//!
//! Times here are whole seconds in UTC: SQLite compares them as text.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{index, text, time};

/// Makes the tables.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    users(manager).await?;
    credentials(manager).await?;
    let epoch = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/identity_epoch.postgres.sql"),
        _ => include_str!("sql/identity_epoch.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(epoch).await.map(|_| ())
}

async fn users(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("users")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "email").not_null().unique_key())
        .col(text(manager, "name").not_null())
        .col(text(manager, "roles").not_null())
        .col(text(manager, "groups").not_null())
        .col(text(manager, "issuer"))
        .col(text(manager, "subject"))
        .col(time("locked_at"))
        .col(text(manager, "locked_reason"))
        .col(text(manager, "locked_by"))
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(time("created_at").not_null())
        .col(text(manager, "created_by"))
        .col(time("last_login_at"))
        // A subject means nothing without its issuer.
        .check(Expr::cust("(issuer IS NULL) = (subject IS NULL)"))
        .check(Expr::cust("(locked_at IS NULL) = (locked_reason IS NULL)"))
        .check(Expr::cust("(locked_at IS NULL) = (locked_by IS NULL)"))
        .to_owned();
    manager.create_table(table).await?;
    let subject =
        Index::create().name("users_by_subject").table("users").col("issuer").col("subject").unique().to_owned();
    manager.create_index(subject).await
}

async fn credentials(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("credentials")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "kind").not_null())
        .col(text(manager, "name").not_null())
        .col(text(manager, "user_id"))
        .col(text(manager, "created_by"))
        .col(text(manager, "roles").not_null())
        .col(ColumnDef::new("secret_hash").binary().not_null().unique_key())
        .col(ColumnDef::new("previous_hash").binary().unique_key())
        .col(time("previous_until"))
        .col(time("created_at").not_null())
        .col(time("expires_at").not_null())
        .col(ColumnDef::new("idle_seconds").big_integer())
        .col(time("last_used_at").not_null())
        .col(time("revoked_at"))
        .col(text(manager, "revoked_reason"))
        .col(text(manager, "source_ip"))
        .col(text(manager, "user_agent"))
        .col(text(manager, "network"))
        .col(text(manager, "apps").not_null())
        .col(text(manager, "workload"))
        .col(ColumnDef::new("version").big_integer().not_null())
        .foreign_key(ForeignKey::create().name("credentials_user").from("credentials", "user_id").to("users", "id"))
        .check(Expr::cust("kind IN ('web', 'cli', 'api', 'workload')"))
        // A session acts as its person; without one it would act as nobody. The others are principals of their own.
        .check(Expr::cust("(kind IN ('web', 'cli')) = (user_id IS NOT NULL)"))
        .check(Expr::cust("(kind = 'workload') = (workload IS NOT NULL)"))
        .check(Expr::cust("length(secret_hash) = 32"))
        .check(Expr::cust("length(previous_hash) = 32"))
        .check(Expr::cust("(previous_hash IS NULL) = (previous_until IS NULL)"))
        .check(Expr::cust("(revoked_at IS NULL) = (revoked_reason IS NULL)"))
        .check(Expr::cust("idle_seconds > 0"))
        .check(Expr::cust("length(user_agent) <= 512"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "credentials", "credentials_by_user", &["user_id", "id"]).await?;
    index(manager, "credentials", "credentials_by_end", &["expires_at"]).await?;
    let revoked = Index::create()
        .name("credentials_by_revocation")
        .table("credentials")
        .col("revoked_at")
        .and_where(Expr::col("revoked_at").is_not_null())
        .to_owned();
    manager.create_index(revoked).await
}
