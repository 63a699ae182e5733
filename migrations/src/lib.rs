//! Schema migrations of the gateway's database: one list, the same tables on SQLite and PostgreSQL.
//!
//! Migrations go forward only and are never edited once released; a change of schema is a new file.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{Migration, MigratorTrait};

mod m0001_audit;
mod m0002_identity;
mod shape;

/// The migrations in the order in which they run.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_audit::Migration), Box::new(m0002_identity::Migration)]
    }
}

/// The least that a serving role of its own needs (PostgreSQL): no DDL, and nothing but
/// `INSERT` and `SELECT` on the records. The caller has checked `role` and quoted it.
#[must_use]
pub fn grants(role: &str) -> String {
    include_str!("sql/grants.postgres.sql").replace("{role}", role)
}
