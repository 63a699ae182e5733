//! From an address to connections, with the settings that durability depends on.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::{SqlxPostgresConnector, SqlxSqliteConnector};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::runtime::{Builder, Handle, Runtime};

use super::append::{Appender, MOST_ROWS};
use super::{Backend, Inner, Options, Store, StoreError};

/// Readers of an embedded database: more would only compete for the same two cores.
const SQLITE_READERS: u32 = 4;

impl Store {
    /// Opens the database at `url`: `sqlite://path`, `sqlite::memory:` (for tests: one connection)
    /// or `postgres://…`. A SQLite file is made if there is none, readable by its owner only.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an address that is not understood, [`StoreError::Unavailable`]
    /// when the database does not answer.
    pub async fn connect(url: &str, options: Options) -> Result<Self, StoreError> {
        let (handle, owned) = runtime(&options)?;
        let guard = Owned(owned);
        let url = url.to_owned();
        let (limit, at) = (options.timeout, handle.clone());
        let opening = at.spawn(async move { tokio::time::timeout(limit, open(&url, &options, handle)).await });
        let mut inner = match opening.await {
            Ok(Ok(inner)) => inner?,
            Ok(Err(_)) => return Err(StoreError::unavailable("no answer in time")),
            Err(_) => return Err(StoreError::unavailable("the gateway is shutting down")),
        };
        inner.owned = guard.into_inner();
        Ok(Self { inner: Arc::new(inner) })
    }
}

/// A runtime that is let go without blocking when connecting fails.
struct Owned(Option<Runtime>);

impl Owned {
    fn into_inner(mut self) -> Option<Runtime> {
        self.0.take()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime(options: &Options) -> Result<(Handle, Option<Runtime>), StoreError> {
    if let Some(handle) = &options.runtime {
        return Ok((handle.clone(), None));
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("store")
        .enable_all()
        .build()
        .map_err(|e| StoreError::unavailable(format!("no threads for it: {}", e.kind())))?;
    Ok((runtime.handle().clone(), Some(runtime)))
}

async fn open(url: &str, options: &Options, handle: Handle) -> Result<Inner, StoreError> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => open_sqlite(url, options, handle).await,
        Some("postgres" | "postgresql") => open_postgres(url, options, handle).await,
        Some(_) | None => Err(StoreError::Invalid(
            "the database address must begin with `sqlite://`, `postgres://` or `postgresql://`".to_owned(),
        )),
    }
}

async fn open_sqlite(url: &str, options: &Options, handle: Handle) -> Result<Inner, StoreError> {
    let in_memory = url.contains(":memory:");
    let base = SqliteConnectOptions::from_str(url)
        .map_err(|_| StoreError::Invalid("the SQLite address is not valid: use `sqlite://path/to/file`".to_owned()))?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(options.timeout)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // What is deleted is gone from the file too.
        .pragma("secure_delete", "ON")
        // All inserts of records and of personal values, and what else is asked.
        .statement_cache_capacity(2 * MOST_ROWS + 32)
        .disable_statement_logging();
    let file = (!in_memory).then(|| base.get_filename().to_owned());
    if let Some(path) = &file {
        create_private(path)?;
    }
    let pool = |max| {
        SqlitePoolOptions::new()
            .max_connections(max)
            .acquire_timeout(options.acquire)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let writer = pool(1).connect_with(base.clone()).await?;
    let write = SqlxSqliteConnector::from_sqlx_sqlite_pool(writer.clone());
    let read = if in_memory {
        write.clone()
    } else {
        let readers = pool(SQLITE_READERS).connect_with(base.pragma("query_only", "ON")).await?;
        SqlxSqliteConnector::from_sqlx_sqlite_pool(readers)
    };
    let appender = Appender::sqlite(writer);
    let claims = Mutex::default();
    let timeout = options.timeout;
    Ok(Inner { handle, owned: None, backend: Backend::Sqlite, read, write, appender, timeout, file, claims })
}

/// SQLite would make the file readable to whoever the umask allows; its journals copy its mode.
fn create_private(path: &Path) -> Result<(), StoreError> {
    private_file(path)
        .map(drop)
        .map_err(|e| StoreError::unavailable(format!("the file {} cannot be made: {}", path.display(), e.kind())))
}

/// Opens a file for writing as it is, or makes one that only its owner can read.
pub(super) fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Run on every new connection. A server that was told to answer before it is durable is told
/// otherwise, and a process that stalls while it holds the head of the chain loses it.
fn session(timeout: Duration) -> String {
    let ms = timeout.as_millis();
    format!(
        "SELECT set_config('synchronous_commit', 'on', false) \
           WHERE current_setting('synchronous_commit') = 'off';\
         SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}; SET TIME ZONE 'UTC'"
    )
}

async fn open_postgres(url: &str, options: &Options, handle: Handle) -> Result<Inner, StoreError> {
    let base = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Invalid("the PostgreSQL address is not valid: use `postgres://…`".to_owned()))?
        .application_name("rack-gateway")
        .disable_statement_logging();
    let setup: Arc<str> = session(options.timeout).into();
    let for_pool = Arc::clone(&setup);
    let pool = PgPoolOptions::new()
        .max_connections(options.pool.max(1))
        .min_connections(1)
        .acquire_timeout(options.acquire)
        .after_connect(move |connection, _| {
            let setup = Arc::clone(&for_pool);
            Box::pin(async move {
                sqlx::raw_sql(sqlx::AssertSqlSafe(setup)).execute(connection).await?;
                Ok(())
            })
        })
        .connect_with(base.clone())
        .await?;
    let read = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
    let write = read.clone();
    let appender = Appender::postgres(Box::new(base), setup);
    let claims = Mutex::default();
    let timeout = options.timeout;
    Ok(Inner { handle, owned: None, backend: Backend::Postgres, read, write, appender, timeout, file: None, claims })
}
