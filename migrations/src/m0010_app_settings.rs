//! Settings of one app, that administrators change while the gateway serves.
//!
//! They change what an app's deploys and variables mean, never who a caller is, and nothing remembers them: the
//! identity epoch stays.

use sea_orm_migration::prelude::*;

use crate::shape::{text, time};

/// Makes the table.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("app_settings")
        .col(text(manager, "app").not_null())
        .col(text(manager, "name").not_null())
        .col(text(manager, "value").not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(time("updated_at").not_null())
        .col(text(manager, "updated_by").not_null())
        .primary_key(Index::create().col("app").col("name"))
        .check(Expr::cust("length(app) BETWEEN 1 AND 63"))
        .check(Expr::cust("version > 0"))
        .to_owned();
    manager.create_table(table).await
}
