//! The chain of records, its head, and the processes that write it.
//!
//! `canon` is what was hashed, byte for byte; the columns after `chain` are an index over it and
//! never a source of truth. Nothing here is ever updated but the head, forwards, and `instances`.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{index, sequence, text};

/// Makes the tables, then forbids changes to them.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    records(manager).await?;
    head(manager).await?;
    instances(manager).await?;
    let guard = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/append_only.postgres.sql"),
        _ => include_str!("sql/append_only.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(guard).await.map(|_| ())
}

async fn records(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_records")
        .col(sequence(manager, "seq"))
        .col(ColumnDef::new("canon").binary().not_null())
        .col(ColumnDef::new("leaf").binary().not_null())
        .col(ColumnDef::new("chain").binary().not_null())
        .col(text(manager, "ts").not_null())
        .col(text(manager, "kind").not_null())
        .col(text(manager, "request_id"))
        .col(text(manager, "actor"))
        .col(text(manager, "action"))
        .col(text(manager, "resource"))
        .col(text(manager, "decision"))
        .col(text(manager, "instance").not_null())
        .col(ColumnDef::new("intent").big_integer())
        .check(Expr::cust("seq >= 1"))
        .check(Expr::cust("length(canon) <= 65536"))
        .check(Expr::cust("length(leaf) = 32"))
        .check(Expr::cust("length(chain) = 32"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "audit_records", "audit_records_by_request", &["request_id"]).await?;
    index(manager, "audit_records", "audit_records_by_actor", &["actor", "seq"]).await?;
    index(manager, "audit_records", "audit_records_by_action", &["action", "seq"]).await?;
    index(manager, "audit_records", "audit_records_by_time", &["ts"]).await
}

async fn head(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_head")
        .col(sequence(manager, "id"))
        .col(text(manager, "origin").not_null())
        .col(ColumnDef::new("seq").big_integer().not_null())
        .col(ColumnDef::new("chain").binary().not_null())
        .check(Expr::cust("id = 1"))
        .check(Expr::cust("length(chain) = 32"))
        .to_owned();
    manager.create_table(table).await
}

async fn instances(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("instances")
        .col(text(manager, "id").not_null().primary_key())
        .col(ColumnDef::new("started_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("first_seq").big_integer().not_null())
        .col(ColumnDef::new("open_seq").big_integer().not_null())
        .col(ColumnDef::new("ended_at").timestamp_with_time_zone())
        .to_owned();
    manager.create_table(table).await
}
