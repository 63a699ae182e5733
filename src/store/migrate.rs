//! Runs the schema migrations and says which are missing.

use std::time::Duration;

use rack_gateway_migrations::{Migration, Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait as _, SqliteTransactionMode, TransactionOptions, TransactionTrait as _};

use super::{Backend, Store, StoreError};

/// Far above what the tables of an empty or small database need; indexes on large ones take time.
const LIMIT: Duration = Duration::from_secs(3600);

/// Any number will do, as long as nothing else in the database uses it.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7236838201127746); SET LOCAL statement_timeout = 0";

/// Which migrations the database has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Names of those that have run.
    pub applied: Vec<String>,
    /// Names of those that have not.
    pub pending: Vec<String>,
}

impl MigrationStatus {
    /// Whether this program can serve on the database.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.pending.is_empty()
    }
}

impl Store {
    /// Brings the schema up to date, all or nothing. Processes that do so at the same time take
    /// turns. On PostgreSQL, `app_role` is granted the least that a serving process needs.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a role name that is not plain; [`StoreError::Conflict`] when the
    /// database is not encoded as UTF-8; [`StoreError::Unavailable`] and [`StoreError::Corrupt`]
    /// from the statements.
    pub async fn migrate(&self, app_role: Option<&str>) -> Result<MigrationStatus, StoreError> {
        let backend = self.backend();
        let grants = match (backend, app_role) {
            (Backend::Postgres, Some(role)) => Some(rack_gateway_migrations::grants(&quoted(role)?)),
            (Backend::Postgres, None) | (Backend::Sqlite, _) => None,
        };
        let db = self.inner.write.clone();
        self.run_within(LIMIT, async move {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            let tx = db.begin_with_options(options).await?;
            if backend == Backend::Postgres {
                tx.execute_unprepared(LOCK).await?;
                require_utf8(&tx).await?;
            }
            Migrator::up(&tx, None).await?;
            if let Some(grants) = grants {
                tx.execute_unprepared(&grants).await?;
            }
            Ok(tx.commit().await?)
        })
        .await?;
        self.migration_status().await
    }

    /// Which migrations have run. Changes nothing, and needs no right to change anything.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when the database knows migrations
    /// that this program does not: it belongs to a newer version.
    pub async fn migration_status(&self) -> Result<MigrationStatus, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move {
            let names = |list: Vec<Migration>| list.iter().map(|m| m.name().to_owned()).collect();
            Ok(MigrationStatus {
                applied: names(Migrator::get_applied_migrations_read_only(&db).await?),
                pending: names(Migrator::get_pending_migrations_read_only(&db).await?),
            })
        })
        .await
    }
}

/// In another encoding some text that a client sends could not be stored, and records must
/// never fail because of what a client sends.
async fn require_utf8(tx: &sea_orm::DatabaseTransaction) -> Result<(), StoreError> {
    let row = tx.query_one_raw(sea_orm::Statement::from_string(
        sea_orm::DbBackend::Postgres,
        "SELECT current_setting('server_encoding')",
    ));
    let encoding: Option<String> = row.await?.map(|r| r.try_get_by_index(0)).transpose()?;
    match encoding.as_deref() {
        Some("UTF8") => Ok(()),
        Some(_) | None => Err(StoreError::Conflict(
            "the database is not encoded as UTF8: make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
                .to_owned(),
        )),
    }
}

/// Role names end up in statements, so only plain ones are taken.
fn quoted(role: &str) -> Result<String, StoreError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if role.is_empty() || role.len() > 63 || !role.chars().all(plain) {
        return Err(StoreError::Invalid("the role name may only have letters, digits, `_` and `-`".to_owned()));
    }
    Ok(format!("\"{role}\""))
}
