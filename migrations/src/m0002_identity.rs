//! Users and their tokens, and the number that changes when they do.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{index, text};

/// Makes the tables.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let users = Table::create()
        .table("users")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "email").not_null().unique_key())
        .col(text(manager, "name").not_null())
        .col(text(manager, "roles").not_null())
        .col(ColumnDef::new("locked").boolean().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .to_owned();
    manager.create_table(users).await?;
    let tokens = Table::create()
        .table("tokens")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "kind").not_null())
        .col(text(manager, "name").not_null())
        .col(text(manager, "user_id"))
        .col(text(manager, "roles").not_null())
        .col(ColumnDef::new("secret_hash").binary().not_null().unique_key())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("expires_at").timestamp_with_time_zone())
        .col(ColumnDef::new("revoked_at").timestamp_with_time_zone())
        .col(ColumnDef::new("last_used_at").timestamp_with_time_zone())
        .foreign_key(ForeignKey::create().name("tokens_user").from("tokens", "user_id").to("users", "id"))
        // A CLI token acts as its user; without one it would act as nobody.
        .check(Expr::cust("kind IN ('cli', 'api')"))
        .check(Expr::cust("kind <> 'cli' OR user_id IS NOT NULL"))
        .check(Expr::cust("length(secret_hash) = 32"))
        .to_owned();
    manager.create_table(tokens).await?;
    index(manager, "tokens", "tokens_by_user", &["user_id"]).await?;
    let epoch = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/identity_epoch.postgres.sql"),
        _ => include_str!("sql/identity_epoch.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(epoch).await.map(|_| ())
}
