//! What can go wrong with the database, by what the caller must do about it.

use std::fmt;

use sea_orm::DbErr;
use sea_orm::RuntimeErr::SqlxError;

/// A failure of the database. No variant holds a URL, a password or a value from a statement, so
/// it may be logged; none is meant for callers of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be reached, did not answer in time, or is shutting down. Try again later.
    #[error("the database is not available: {0}")]
    Unavailable(Cause),
    /// The change contradicts what is stored, or another process holds what is needed.
    #[error("{0}")]
    Conflict(String),
    /// The row is no longer in the version that the caller has seen.
    #[error("it was changed by somebody else meanwhile: read it again, then try again")]
    Stale,
    /// There is no such row.
    #[error("no such row")]
    NotFound,
    /// What is stored, or the statement itself, is wrong: a person has to look.
    #[error("the database is not as expected: {0}")]
    Corrupt(String),
    /// The address or an option is wrong; nothing was contacted.
    #[error("{0}")]
    Invalid(String),
}

/// Why the database is not available, in words that hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(pub(crate) String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StoreError {
    pub(crate) fn unavailable(cause: impl Into<String>) -> Self {
        Self::Unavailable(Cause(cause.into()))
    }

    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        classify(&error)
    }
}

fn classify(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(e) => from_database(e.as_ref()),
        sqlx::Error::RowNotFound => StoreError::NotFound,
        sqlx::Error::Io(e) => StoreError::unavailable(format!("i/o: {}", e.kind())),
        sqlx::Error::Tls(_) => StoreError::unavailable("the TLS handshake failed"),
        sqlx::Error::PoolTimedOut => StoreError::unavailable("no connection in time"),
        sqlx::Error::PoolClosed => StoreError::unavailable("it is closed"),
        sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => StoreError::unavailable("the connection broke"),
        sqlx::Error::Configuration(_) => StoreError::Invalid("the database address is not valid".to_owned()),
        // The remaining variants name columns and types, never values.
        other => StoreError::Corrupt(other.to_string()),
    }
}

/// The message of a database may quote values; its code does not.
fn from_database(error: &dyn sqlx::error::DatabaseError) -> StoreError {
    let code = error.code().map(|c| c.into_owned()).unwrap_or_default();
    if error.is_unique_violation() {
        return StoreError::Conflict("there is already such a row".to_owned());
    }
    if error.is_foreign_key_violation() {
        return StoreError::Conflict("the row refers to one that does not exist".to_owned());
    }
    if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
        return from_postgres(&code);
    }
    from_sqlite(&code)
}

/// SQLSTATE classes (PostgreSQL manual, appendix A).
fn from_postgres(code: &str) -> StoreError {
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        // Wrong names and passwords are an operator's mistake, but the remedy comes from outside.
        ("28", _) | (_, "3D000") => StoreError::unavailable(format!("it refused the login (code {code})")),
        // Connection, read-only, rollback, resources, limits, locks, shutdown, system.
        ("08" | "25" | "40" | "53" | "54" | "55" | "57" | "58", _) => {
            StoreError::unavailable(format!("it answered with code {code}"))
        }
        (_, "42501") => StoreError::Corrupt(
            "a right is missing: run `rack-gateway-api migrate` as the owner, with RGW_DATABASE_APP_ROLE".to_owned(),
        ),
        ("42", "42P01") => StoreError::Corrupt("a table is missing: run `rack-gateway-api migrate`".to_owned()),
        _ => StoreError::Corrupt(format!("it answered with code {code}")),
    }
}

/// Primary result codes (sqlite.org/rescode.html).
fn from_sqlite(code: &str) -> StoreError {
    let number: i32 = code.parse().unwrap_or_default();
    let cause = match number & 0xff {
        1 => return StoreError::Corrupt("a statement failed: run `rack-gateway-api migrate`".to_owned()),
        5 | 6 => "it is locked by another process",
        8 => "it is read-only",
        9 => "it was interrupted",
        10 => "the disk failed",
        13 => "the disk is full",
        14 => "the file cannot be opened",
        _ => return StoreError::Corrupt(format!("it answered with code {code}")),
    };
    StoreError::unavailable(cause)
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error {
            DbErr::Conn(SqlxError(e)) | DbErr::Exec(SqlxError(e)) | DbErr::Query(SqlxError(e)) => classify(&e),
            DbErr::ConnectionAcquire(_) => Self::unavailable("no connection in time"),
            DbErr::RecordNotFound(_) | DbErr::RecordNotUpdated => Self::NotFound,
            // Type and conversion errors name columns, never values; migrations name themselves.
            other => Self::Corrupt(other.to_string()),
        }
    }
}
