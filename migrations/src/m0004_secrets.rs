//! Sealed values, all in one table: whoever changes the key has one place to look.

use sea_orm_migration::prelude::*;

use crate::shape::text;

/// Makes the table.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let secrets = Table::create()
        .table("secrets")
        .col(text(manager, "purpose").not_null())
        .col(text(manager, "id").not_null())
        .col(text(manager, "sealed").not_null())
        .col(text(manager, "key_id").not_null())
        .col(ColumnDef::new("created_at").timestamp_with_time_zone().not_null())
        .col(ColumnDef::new("resealed_at").timestamp_with_time_zone())
        .primary_key(Index::create().col("purpose").col("id"))
        .to_owned();
    manager.create_table(secrets).await
}
