//! Second factors: what people enrolled, which browsers they trust, what was asked of them, and what a
//! session has shown.
//!
//! Times here are whole seconds in UTC: SQLite compares them as text.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{index, text, time};

/// Makes the tables, then adds to those of people, credentials and sign-ins.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    factors(manager).await?;
    backup_codes(manager).await?;
    trusted_devices(manager).await?;
    challenges(manager).await?;
    notices(manager).await?;
    let rest = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/factors.postgres.sql"),
        _ => include_str!("sql/factors.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(rest).await.map(|_| ())
}

/// What goes with its person.
fn of_user(name: &'static str, table: &'static str) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.name(name).from(table, "user_id").to("users", "id").on_delete(ForeignKeyAction::Cascade);
    key
}

async fn factors(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("factors")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "user_id").not_null())
        .col(text(manager, "kind").not_null())
        .col(text(manager, "name").not_null())
        .col(text(manager, "credential_id").unique_key())
        .col(text(manager, "data"))
        .col(ColumnDef::new("last_step").big_integer())
        .col(time("created_at").not_null())
        .col(text(manager, "created_with").not_null())
        .col(time("expires_at"))
        .col(time("confirmed_at"))
        .col(time("last_used_at"))
        .col(ColumnDef::new("version").big_integer().not_null())
        .foreign_key(&mut of_user("factors_user", "factors"))
        .check(Expr::cust("kind IN ('webauthn', 'totp', 'yubico')"))
        // It is either under way, and then has an end, or confirmed.
        .check(Expr::cust("(confirmed_at IS NULL) = (expires_at IS NOT NULL)"))
        .check(Expr::cust("last_step IS NULL OR kind = 'totp'"))
        .check(Expr::cust("confirmed_at IS NULL OR kind <> 'webauthn' OR credential_id IS NOT NULL"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "factors", "factors_by_user", &["user_id", "id"]).await?;
    let pending = Index::create()
        .name("factors_by_end")
        .table("factors")
        .col("expires_at")
        .and_where(Expr::col("expires_at").is_not_null())
        .to_owned();
    manager.create_index(pending).await
}

async fn backup_codes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("backup_codes")
        .col(ColumnDef::new("code_hash").binary().not_null().primary_key())
        .col(text(manager, "user_id").not_null())
        .col(time("created_at").not_null())
        .col(time("used_at"))
        .foreign_key(&mut of_user("backup_codes_user", "backup_codes"))
        .check(Expr::cust("length(code_hash) = 32"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "backup_codes", "backup_codes_by_user", &["user_id"]).await
}

async fn trusted_devices(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("trusted_devices")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "user_id").not_null())
        .col(ColumnDef::new("token_hash").binary().not_null().unique_key())
        .col(text(manager, "browser").not_null())
        .col(text(manager, "source_ip").not_null())
        .col(time("created_at").not_null())
        .col(time("expires_at").not_null())
        .col(time("last_used_at"))
        .foreign_key(&mut of_user("trusted_devices_user", "trusted_devices"))
        .check(Expr::cust("length(token_hash) = 32"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "trusted_devices", "trusted_devices_by_user", &["user_id", "id"]).await?;
    index(manager, "trusted_devices", "trusted_devices_by_end", &["expires_at"]).await
}

async fn challenges(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut asker = ForeignKey::create();
    asker
        .name("challenges_credential")
        .from("challenges", "credential_id")
        .to("credentials", "id")
        .on_delete(ForeignKeyAction::Cascade);
    let table = Table::create()
        .table("challenges")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "code").not_null().unique_key())
        .col(text(manager, "user_id").not_null())
        .col(text(manager, "credential_id").not_null())
        .col(text(manager, "action").not_null())
        .col(text(manager, "resource").not_null())
        .col(text(manager, "reasons").not_null())
        .col(text(manager, "needs").not_null())
        .col(ColumnDef::new("strong").boolean().not_null())
        .col(text(manager, "way").not_null())
        .col(ColumnDef::new("intent_digest").binary().not_null())
        .col(text(manager, "return_to"))
        .col(text(manager, "source_ip").not_null())
        .col(time("created_at").not_null())
        .col(time("expires_at").not_null())
        .col(ColumnDef::new("attempts").big_integer().not_null())
        .col(text(manager, "webauthn_state"))
        .col(time("answered_at"))
        .col(text(manager, "method"))
        .col(ColumnDef::new("answered_strong").boolean().not_null())
        .col(ColumnDef::new("proof_hash").binary())
        .col(time("completed_at"))
        .col(time("spent_at"))
        .foreign_key(&mut of_user("challenges_user", "challenges"))
        .foreign_key(&mut asker)
        .check(Expr::cust("needs IN ('mfa', 'mfa_bound')"))
        .check(Expr::cust("way IN ('web', 'console', 'link', 'socket')"))
        .check(Expr::cust("method IN ('webauthn', 'totp', 'yubico', 'backup')"))
        .check(Expr::cust("length(intent_digest) = 32"))
        .check(Expr::cust("length(proof_hash) = 32"))
        .check(Expr::cust("(answered_at IS NULL) = (method IS NULL)"))
        .check(Expr::cust("answered_at IS NOT NULL OR NOT answered_strong"))
        .check(Expr::cust("answered_at IS NULL OR answered_strong OR NOT strong"))
        .check(Expr::cust("answered_at IS NOT NULL OR (proof_hash IS NULL AND spent_at IS NULL)"))
        .check(Expr::cust("completed_at IS NULL OR proof_hash IS NOT NULL"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "challenges", "challenges_by_intent", &["credential_id", "intent_digest"]).await?;
    index(manager, "challenges", "challenges_by_user", &["user_id"]).await?;
    index(manager, "challenges", "challenges_by_end", &["expires_at"]).await
}

async fn notices(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("notices")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "user_id").not_null())
        .col(text(manager, "kind").not_null())
        .col(text(manager, "text").not_null())
        .col(time("created_at").not_null())
        .col(time("seen_at"))
        .foreign_key(&mut of_user("notices_user", "notices"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "notices", "notices_by_user", &["user_id", "created_at", "id"]).await?;
    index(manager, "notices", "notices_by_time", &["created_at"]).await
}
