//! Steps of deploys: what was uploaded, built, released, promoted and started under which approval. A step is
//! claimed before the rack hears of it, so that of two at once one goes through, and each but the start of a
//! process happens once for an approval. Nothing is deleted, and what was noted is never changed.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{index, text, time};

/// Makes the table, then forbids all changes but the end of a claim.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    steps(manager).await?;
    let rest = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/deploy_steps.postgres.sql"),
        _ => include_str!("sql/deploy_steps.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(rest).await.map(|_| ())
}

async fn steps(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut of = ForeignKey::create();
    of.name("deploy_steps_of")
        .from("deploy_steps", "approval_id")
        .to("deploy_approvals", "id")
        .on_delete(ForeignKeyAction::Restrict);
    let table = Table::create()
        .table("deploy_steps")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "approval_id").not_null())
        .col(text(manager, "app").not_null())
        .col(text(manager, "step").not_null())
        .col(text(manager, "subject").not_null())
        .col(text(manager, "state").not_null())
        .col(text(manager, "result"))
        .col(text(manager, "digest"))
        .col(text(manager, "by_kind").not_null())
        .col(text(manager, "by_id").not_null())
        .col(text(manager, "request_id").not_null())
        .col(time("claimed_at").not_null())
        .col(time("ended_at"))
        .foreign_key(&mut of)
        .check(Expr::cust("length(app) > 0 AND length(subject) > 0"))
        .check(Expr::cust("step IN ('upload', 'build', 'release', 'promote', 'start')"))
        .check(Expr::cust("state IN ('claimed', 'done', 'freed')"))
        .check(Expr::cust("by_kind IN ('User', 'ApiToken', 'Workload')"))
        .check(Expr::cust("(ended_at IS NULL) = (state = 'claimed')"))
        .check(Expr::cust("state = 'done' OR result IS NULL"))
        .check(Expr::cust("digest IS NULL OR length(digest) = 64"))
        .check(Expr::cust("step <> 'upload' OR state <> 'done' OR digest IS NOT NULL"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "deploy_steps", "deploy_steps_by_approval", &["approval_id"]).await?;
    index(manager, "deploy_steps", "deploy_steps_by_result", &["app", "step", "result"]).await
}
