//! Values in the form in which both databases hold them, and the transactions that change several rows.

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, IsolationLevel, SqliteTransactionMode,
    TransactionOptions, TransactionTrait as _,
};
use time::{OffsetDateTime, UtcOffset};

use super::StoreError;

/// A time as people, credentials and sign-ins keep it: whole seconds in UTC. SQLite compares times as text,
/// which is right only when all have the same form.
pub(super) fn second(at: OffsetDateTime) -> OffsetDateTime {
    at.to_offset(UtcOffset::UTC).truncate_to_second()
}

/// A list of words as the JSON text in which it is stored.
pub(super) fn list_text(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

/// A list of words from the database.
pub(super) fn list_from(text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt("a list of words is not JSON".to_owned()))
}

/// Groups in one order, each once: an identity provider may send them in any.
pub(super) fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort_unstable();
    list.dedup();
    list
}

/// A value that is stored as text and must be readable.
pub(super) fn parsed<T: std::str::FromStr>(text: Option<&str>, what: &str) -> Result<Option<T>, StoreError> {
    text.map(|text| text.parse().map_err(|_| StoreError::Corrupt(format!("{what} cannot be read")))).transpose()
}

/// Opens a transaction that will write. Whoever waits for a lock goes on with what the other one left:
/// SQLite takes its one lock at once, PostgreSQL reads each row as it is by then.
pub(super) async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = match db.get_database_backend() {
        DbBackend::Sqlite => TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        },
        _ => {
            TransactionOptions { isolation_level: Some(IsolationLevel::ReadCommitted), ..TransactionOptions::default() }
        }
    };
    db.begin_with_options(options).await
}
