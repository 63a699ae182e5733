//! What a sign-in needs while it is under way, how often callers try, and settings that administrators change.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{index, text, time};

/// Makes the tables.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    logins(manager).await?;
    cli_logins(manager).await?;
    counters(manager).await?;
    settings(manager).await?;
    let epoch = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/settings_epoch.postgres.sql"),
        _ => include_str!("sql/settings_epoch.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(epoch).await.map(|_| ())
}

async fn logins(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("logins")
        .col(text(manager, "id").not_null().primary_key())
        .col(ColumnDef::new("state_hash").binary().not_null().unique_key())
        .col(ColumnDef::new("browser_hash").binary().not_null())
        .col(text(manager, "nonce").not_null())
        .col(text(manager, "sealed_verifier").not_null())
        .col(text(manager, "channel").not_null())
        .col(text(manager, "return_to").not_null())
        .col(time("created_at").not_null())
        .col(time("expires_at").not_null())
        .check(Expr::cust("channel IN ('web', 'cli')"))
        .check(Expr::cust("length(state_hash) = 32"))
        .check(Expr::cust("length(browser_hash) = 32"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "logins", "logins_by_end", &["expires_at"]).await
}

async fn cli_logins(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut user = ForeignKey::create()
        .name("cli_logins_user")
        .from("cli_logins", "user_id")
        .to("users", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned();
    let table = Table::create()
        .table("cli_logins")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "user_code").not_null().unique_key())
        .col(text(manager, "code_challenge").not_null())
        .col(text(manager, "device_name").not_null())
        .col(text(manager, "device_os").not_null())
        .col(text(manager, "client_version").not_null())
        .col(text(manager, "source_ip").not_null())
        .col(time("created_at").not_null())
        .col(time("expires_at").not_null())
        .col(time("decided_at"))
        .col(ColumnDef::new("approved").boolean())
        .col(text(manager, "user_id"))
        .col(time("taken_at"))
        .foreign_key(&mut user)
        .check(Expr::cust("(decided_at IS NULL) = (approved IS NULL)"))
        .check(Expr::cust("(decided_at IS NULL) = (user_id IS NULL)"))
        .check(Expr::cust("taken_at IS NULL OR approved"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "cli_logins", "cli_logins_by_user", &["user_id"]).await?;
    index(manager, "cli_logins", "cli_logins_by_end", &["expires_at"]).await
}

async fn counters(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let limits = Table::create()
        .table("rate_limits")
        .col(text(manager, "key").not_null().primary_key())
        .col(time("resets_at").not_null())
        .col(ColumnDef::new("count").big_integer().not_null())
        .to_owned();
    manager.create_table(limits).await?;
    index(manager, "rate_limits", "rate_limits_by_end", &["resets_at"]).await?;
    let seen = Table::create()
        .table("workload_jtis")
        .col(text(manager, "issuer").not_null())
        .col(text(manager, "token_id").not_null())
        .col(time("expires_at").not_null())
        .primary_key(Index::create().col("issuer").col("token_id"))
        .to_owned();
    manager.create_table(seen).await?;
    index(manager, "workload_jtis", "workload_jtis_by_end", &["expires_at"]).await
}

async fn settings(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("settings")
        .col(text(manager, "name").not_null().primary_key())
        .col(text(manager, "value").not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(time("updated_at").not_null())
        .col(text(manager, "updated_by").not_null())
        .to_owned();
    manager.create_table(table).await
}
