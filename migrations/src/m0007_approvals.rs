//! Deploy approvals: who asked to deploy which commit of which app, who agreed, and what became of it.
//!
//! No row refers to a person or token by a foreign key, and none is ever deleted: what was decided stays
//! readable when those who decided are gone. Times are whole seconds in UTC: SQLite compares them as text.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::shape::{index, text, time};

/// Makes the tables, then forbids all changes but the ones from state to state.
pub(crate) async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    approvals(manager).await?;
    votes(manager).await?;
    let rest = match manager.get_database_backend() {
        DbBackend::Postgres => include_str!("sql/approvals.postgres.sql"),
        _ => include_str!("sql/approvals.sqlite.sql"),
    };
    manager.get_connection().execute_unprepared(rest).await.map(|_| ())
}

async fn approvals(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let is_hex = match manager.get_database_backend() {
        DbBackend::Postgres => "git_commit ~ '^[0-9a-f]+$'",
        _ => "git_commit NOT GLOB '*[^0-9a-f]*'",
    };
    let table = Table::create()
        .table("deploy_approvals")
        .col(text(manager, "id").not_null().primary_key())
        .col(text(manager, "app").not_null())
        .col(text(manager, "git_commit").not_null())
        .col(text(manager, "branch"))
        .col(text(manager, "message").not_null())
        .col(text(manager, "pr_url"))
        .col(text(manager, "ci"))
        .col(text(manager, "state").not_null())
        .col(text(manager, "reason"))
        .col(text(manager, "requester_kind").not_null())
        .col(text(manager, "requester_id").not_null())
        .col(text(manager, "deployer_kind").not_null())
        .col(text(manager, "deployer_id").not_null())
        .col(text(manager, "users").not_null())
        .col(time("created_at").not_null())
        .col(time("expires_at").not_null())
        .col(time("approved_at"))
        .col(time("ended_at"))
        .col(text(manager, "ended_by_kind"))
        .col(text(manager, "ended_by_id"))
        .col(ColumnDef::new("extensions").big_integer().not_null())
        .col(text(manager, "running_release"))
        .col(text(manager, "parent_release"))
        .col(text(manager, "env_changes").not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .check(Expr::cust("length(app) > 0"))
        .check(Expr::cust("length(git_commit) IN (40, 64)"))
        .check(Expr::cust(is_hex))
        .check(Expr::cust("state IN ('pending', 'approved', 'deployed', 'rejected', 'expired', 'revoked')"))
        .check(Expr::cust("requester_kind IN ('User', 'ApiToken', 'Workload')"))
        .check(Expr::cust("deployer_kind IN ('User', 'ApiToken', 'Workload')"))
        .check(Expr::cust("ended_by_kind IN ('User', 'ApiToken', 'Workload')"))
        .check(Expr::cust("(ended_by_kind IS NULL) = (ended_by_id IS NULL)"))
        .check(Expr::cust("(ended_at IS NULL) = (state IN ('pending', 'approved'))"))
        .check(Expr::cust("ended_at IS NOT NULL OR (ended_by_id IS NULL AND reason IS NULL)"))
        .check(Expr::cust("state NOT IN ('approved', 'deployed') OR approved_at IS NOT NULL"))
        .check(Expr::cust("state <> 'pending' OR approved_at IS NULL"))
        .check(Expr::cust("state NOT IN ('rejected', 'revoked') OR (reason IS NOT NULL AND reason <> '')"))
        .check(Expr::cust("extensions >= 0 AND (extensions = 0 OR approved_at IS NOT NULL)"))
        .check(Expr::cust("version >= 1"))
        .to_owned();
    manager.create_table(table).await?;
    index(manager, "deploy_approvals", "deploy_approvals_by_app", &["app", "id"]).await?;
    index(manager, "deploy_approvals", "deploy_approvals_by_commit", &["git_commit", "id"]).await
}

/// One vote of one person on one request, from however many sessions.
async fn votes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut on = ForeignKey::create();
    on.name("deploy_approval_votes_on")
        .from("deploy_approval_votes", "approval_id")
        .to("deploy_approvals", "id")
        .on_delete(ForeignKeyAction::Restrict);
    let table = Table::create()
        .table("deploy_approval_votes")
        .col(text(manager, "approval_id").not_null())
        .col(text(manager, "user_id").not_null())
        .col(time("at").not_null())
        .col(text(manager, "notes").not_null())
        .primary_key(Index::create().col("approval_id").col("user_id"))
        .foreign_key(&mut on)
        .check(Expr::cust("length(user_id) > 0"))
        .to_owned();
    manager.create_table(table).await
}
