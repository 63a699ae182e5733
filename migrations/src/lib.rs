//! Schema migrations of the gateway's database: one list, the same tables on SQLite and PostgreSQL.
//!
//! Migrations go forward only and are never edited once released; a change of schema is a new file.

use std::pin::Pin;

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{Migration, MigratorTrait};

mod m0001_audit;
mod m0002_identity;
mod m0003_sign_in;
mod m0004_secrets;
mod m0005_factors;
mod m0006_proof;
mod m0007_approvals;
mod m0008_deploy_steps;
mod m0009_outbox;
mod m0010_app_settings;
mod shape;

/// The migrations in the order in which they run.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let list = [
            Step { name: "m0001_audit", up: |manager| Box::pin(m0001_audit::up(manager)) },
            Step { name: "m0002_identity", up: |manager| Box::pin(m0002_identity::up(manager)) },
            Step { name: "m0003_sign_in", up: |manager| Box::pin(m0003_sign_in::up(manager)) },
            Step { name: "m0004_secrets", up: |manager| Box::pin(m0004_secrets::up(manager)) },
            Step { name: "m0005_factors", up: |manager| Box::pin(m0005_factors::up(manager)) },
            Step { name: "m0006_proof", up: |manager| Box::pin(m0006_proof::up(manager)) },
            Step { name: "m0007_approvals", up: |manager| Box::pin(m0007_approvals::up(manager)) },
            Step { name: "m0008_deploy_steps", up: |manager| Box::pin(m0008_deploy_steps::up(manager)) },
            Step { name: "m0009_outbox", up: |manager| Box::pin(m0009_outbox::up(manager)) },
            Step { name: "m0010_app_settings", up: |manager| Box::pin(m0010_app_settings::up(manager)) },
        ];
        list.into_iter().map(|step| Box::new(step) as Box<dyn MigrationTrait>).collect()
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), DbErr>> + Send + 'a>>;

/// One migration: the name under which the database remembers it, and what it does.
struct Step {
    name: &'static str,
    up: for<'a> fn(&'a SchemaManager<'a>) -> Running<'a>,
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

impl MigrationTrait for Step {
    // Spelled out, because the attribute that would spell it cannot name the manager's lifetime.
    fn up<'a, 'b, 'f>(&'a self, manager: &'b SchemaManager<'_>) -> Running<'f>
    where
        'a: 'f,
        'b: 'f,
        Self: 'f,
    {
        (self.up)(manager)
    }
}

/// The least that a serving role of its own needs (PostgreSQL): no DDL, and nothing but
/// `INSERT` and `SELECT` on the records. The caller has checked `role` and quoted it.
#[must_use]
pub fn grants(role: &str) -> String {
    let grants = concat!(
        include_str!("sql/grants.postgres.sql"),
        include_str!("sql/factors_grants.postgres.sql"),
        include_str!("sql/proof_grants.postgres.sql"),
        include_str!("sql/approvals_grants.postgres.sql"),
        include_str!("sql/deploy_steps_grants.postgres.sql"),
        include_str!("sql/outbox_grants.postgres.sql"),
        include_str!("sql/app_settings_grants.postgres.sql"),
    );
    grants.replace("{role}", role)
}
