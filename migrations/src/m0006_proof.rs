//! What makes the log provable and searchable: nodes of the tree over the records, anchors, epochs, personal
//! values beside the records, and the index of words.
//!
//! Nodes and words follow from the records, and anchors from the bucket; none is a source of truth. Personal
//! values are: they may be deleted, never changed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{index, sequence, text};

/// Makes the tables, then forbids changes to them.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    nodes(manager).await?;
    anchors(manager).await?;
    epochs(manager).await?;
    private(manager).await?;
    indexed(manager).await?;
    let rest = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/proof.postgres.sql"),
        _ => include_str!("sql/proof.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(rest).await.map(|_| ())
}

fn number(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.big_integer().not_null();
    column
}

fn bytes(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.binary().not_null();
    column
}

async fn nodes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_nodes")
        .col(number("level"))
        .col(number("idx"))
        .col(bytes("hash"))
        .primary_key(Index::create().col("level").col("idx"))
        .check(Expr::cust("level BETWEEN 1 AND 7"))
        .check(Expr::cust("idx >= 0"))
        .check(Expr::cust("length(hash) = 32"))
        .to_owned();
    manager.create_table(table).await
}

async fn anchors(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_anchors")
        .col(number("epoch"))
        .col(number("number"))
        .col(number("size"))
        .col(bytes("root"))
        .col(bytes("chain"))
        .col(bytes("checkpoint"))
        .col(bytes("meta"))
        .col(text(manager, "made_at").not_null())
        .col(text(manager, "next_due").not_null())
        .col(ColumnDef::new("development").boolean().not_null())
        .primary_key(Index::create().col("epoch").col("number"))
        .check(Expr::cust("epoch >= 1 AND number >= 1 AND size >= 0"))
        .check(Expr::cust("length(root) = 32"))
        .check(Expr::cust("length(chain) = 32"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "audit_anchors", "audit_anchors_by_size", &["size", "epoch", "number"]).await
}

async fn epochs(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_epochs")
        .col(sequence(manager, "number"))
        .col(number("seq"))
        .col(number("kept"))
        .check(Expr::cust("number >= 2"))
        .check(Expr::cust("seq >= 1"))
        .check(Expr::cust("kept >= 0 AND kept < seq"))
        .to_owned();
    manager.create_table(table).await
}

async fn private(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_private")
        .col(number("seq"))
        .col(text(manager, "name").not_null())
        .col(bytes("salt"))
        .col(text(manager, "value").not_null())
        .primary_key(Index::create().col("seq").col("name"))
        .check(Expr::cust("length(salt) = 16"))
        .to_owned();
    manager.create_table(table).await
}

/// One row: up to which record the words are in the index.
async fn indexed(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("audit_indexed")
        .col(sequence(manager, "id"))
        .col(number("seq"))
        .check(Expr::cust("id = 1"))
        .to_owned();
    manager.create_table(table).await
}
