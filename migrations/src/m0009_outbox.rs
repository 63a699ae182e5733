//! What others must hear of: one row for each notice, written together with its cause, then sent.
//!
//! Times here are whole seconds in UTC: SQLite compares them as text.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{text, time};

/// Makes the table, then forbids changes to what a notice says.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("outbox")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "kind").not_null())
        .col(text(manager, "data").not_null())
        .col(time("created_at").not_null())
        .col(text(manager, "state").not_null())
        .col(ColumnDef::new("attempts").big_integer().not_null())
        .col(time("next_at").not_null())
        .col(text(manager, "last_error"))
        .col(time("ended_at"))
        .check(Expr::cust("state IN ('waiting', 'sent', 'dead', 'skipped')"))
        .check(Expr::cust("attempts >= 0"))
        .check(Expr::cust("length(data) <= 65536"))
        .check(Expr::cust("length(last_error) <= 500"))
        .check(Expr::cust("(state = 'waiting') = (ended_at IS NULL)"))
        .to_owned();
    manager.create_table(table).await?;
    let due = Index::create()
        .name("outbox_due")
        .table("outbox")
        .col("next_at")
        .col("id")
        .and_where(Expr::cust("state = 'waiting'"))
        .to_owned();
    manager.create_index(due).await?;
    let ended = Index::create()
        .name("outbox_by_end")
        .table("outbox")
        .col("state")
        .col("ended_at")
        .and_where(Expr::cust("ended_at IS NOT NULL"))
        .to_owned();
    manager.create_index(ended).await?;
    let rest = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/outbox.postgres.sql"),
        _ => include_str!("sql/outbox.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(rest).await.map(|_| ())
}
