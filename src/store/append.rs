//! The append of records: lock the head, seal against it, insert, move the head, commit.
//!
//! Locking comes before reading: two processes that read the same head would fork the chain. The
//! head is a row of its own, because the newest record is no row that can be locked in advance.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, SqlitePool};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::private::PrivateValue;
use super::{Store, StoreError};

/// The end of the chain as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Sequence number of the last record; 0 when there is none.
    pub seq: u64,
    /// Chain value after that record.
    pub chain: [u8; 32],
}

/// A place in the chain: a record's number and the chain value after it.
pub type Link = Head;

/// A record ready to be stored.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Its place in the chain, from 1.
    pub seq: u64,
    /// Its canonical bytes, as hashed.
    pub canon: Vec<u8>,
    /// Hash of `canon`.
    pub leaf: [u8; 32],
    /// Hash of the previous chain value and `leaf`.
    pub chain: [u8; 32],
    /// What it can be found by.
    pub keys: Arc<Keys>,
    /// The personal values that it holds commitments to, stored beside it.
    pub private: Arc<[PrivateValue]>,
}

/// The searchable columns of a record, copied from its canonical bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Time, RFC 3339 in UTC with six digits of a second.
    pub ts: String,
    /// `intent`, `outcome`, `denial`, `admin` or `system`.
    pub kind: String,
    /// The request it belongs to.
    pub request_id: Option<String>,
    /// Who acted.
    pub actor: Option<String>,
    /// What was asked for.
    pub action: Option<String>,
    /// On what.
    pub resource: Option<String>,
    /// What was decided.
    pub decision: Option<String>,
    /// The process that wrote it.
    pub instance: String,
    /// For an outcome: the number of its intent.
    pub intent: Option<u64>,
}

/// A batch that was not stored, as far as can be told.
#[derive(Debug)]
pub struct AppendError {
    /// What went wrong.
    pub error: StoreError,
    /// Where the batch ends if it was stored after all: its commit was sent and not answered.
    pub doubt: Option<Link>,
}

impl From<StoreError> for AppendError {
    fn from(error: StoreError) -> Self {
        Self { error, doubt: None }
    }
}

/// A batch that was stored.
#[derive(Clone, Debug)]
pub struct Appended {
    /// Its records.
    pub sealed: Vec<Sealed>,
    /// The identity epoch, read in the same transaction: what was known of a caller under another
    /// epoch may no longer hold.
    pub epoch: u64,
}

impl Store {
    /// Appends one batch in one transaction. `seal` is called under the lock with the current
    /// head and must return records that continue it without a gap.
    ///
    /// # Errors
    /// Nothing was stored, unless [`AppendError::doubt`] says that nobody knows; then
    /// [`Store::records_settle`] finds out.
    pub async fn records_append(
        &self,
        seal: impl FnOnce(&Head) -> Vec<Sealed> + Send + 'static,
    ) -> Result<Appended, AppendError> {
        let inner = Arc::clone(&self.inner);
        let task = self.inner.handle.spawn(async move { inner.appender.append(inner.timeout, seal).await });
        task.await.unwrap_or_else(|_| Err(StoreError::unavailable("the gateway is shutting down").into()))
    }

    /// Whether the chain passes through `link`. Waits for any transaction that still holds the
    /// head, so that the answer is final.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn records_settle(&self, link: Link) -> Result<bool, StoreError> {
        let inner = Arc::clone(&self.inner);
        self.run(async move { inner.appender.settle(link).await }).await
    }
}

/// The one connection that appends.
pub(super) enum Appender {
    /// SQLite has one writer; the pool of one is shared with all other writes.
    Sqlite(SqlitePool, InsertSql),
    /// A connection of its own, so that nothing else can keep the chain waiting, opened on first
    /// use and dropped on any error: its state is then unknown.
    Postgres { options: Box<PgConnectOptions>, setup: Arc<str>, slot: Mutex<Option<PgConnection>> },
}

impl Appender {
    pub(super) fn sqlite(pool: SqlitePool) -> Self {
        Self::Sqlite(pool, InsertSql::new())
    }

    pub(super) fn postgres(options: Box<PgConnectOptions>, setup: Arc<str>) -> Self {
        Self::Postgres { options, setup, slot: Mutex::new(None) }
    }

    pub(super) async fn close(&self) {
        if let Self::Postgres { slot, .. } = self
            && let Some(connection) = slot.lock().await.take()
            && let Err(error) = connection.close().await
        {
            tracing::debug!(error = %StoreError::from(error), "the append connection did not close cleanly");
        }
    }

    async fn append(
        &self,
        limit: Duration,
        seal: impl FnOnce(&Head) -> Vec<Sealed> + Send,
    ) -> Result<Appended, AppendError> {
        let mut sent = None;
        let done = timeout(limit, async {
            match self {
                Self::Sqlite(pool, sql) => append_sqlite(pool, sql, seal, &mut sent).await,
                Self::Postgres { options, setup, slot } => {
                    let mut slot = slot.lock().await;
                    let (mut connection, head, epoch) = lock_postgres(options, setup, slot.take()).await?;
                    let sealed = append_postgres(&mut connection, &head, seal, &mut sent).await?;
                    *slot = Some(connection);
                    Ok(Appended { sealed, epoch })
                }
            }
        });
        match done.await {
            Ok(Ok(appended)) => Ok(appended),
            Ok(Err(error)) => Err(AppendError { error, doubt: sent }),
            Err(_) => Err(AppendError { error: StoreError::unavailable("no answer in time"), doubt: sent }),
        }
    }

    async fn settle(&self, link: Link) -> Result<bool, StoreError> {
        let seq = stored(link.seq)?;
        let found: Option<Vec<u8>> = match self {
            Self::Sqlite(pool, _) => {
                let mut connection = pool.acquire().await?;
                let mut tx = connection.begin_with(BEGIN_SQLITE).await?;
                sqlx::query_scalar(CHAIN_AT).bind(seq).fetch_optional(&mut *tx).await?
            }
            Self::Postgres { options, setup, slot } => {
                let mut slot = slot.lock().await;
                let (mut connection, ..) = lock_postgres(options, setup, slot.take()).await?;
                let found = sqlx::query_scalar(CHAIN_AT).bind(seq).fetch_optional(&mut connection).await?;
                sqlx::raw_sql("ROLLBACK").execute(&mut connection).await?;
                *slot = Some(connection);
                found
            }
        };
        Ok(found.is_some_and(|chain| chain == link.chain))
    }
}

impl fmt::Debug for Appender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Appender")
    }
}

const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";
const HEAD: &str = "SELECT h.seq, h.chain, e.epoch FROM audit_head h, identity_epoch e WHERE h.id = 1 AND e.id = 1";
/// One message instead of two. A default isolation level above this one would make the lock fail
/// instead of wait.
const LOCK_POSTGRES: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SELECT h.seq, h.chain, e.epoch FROM audit_head h, identity_epoch e \
     WHERE h.id = 1 AND e.id = 1 FOR UPDATE OF h";
const CHAIN_AT: &str = "SELECT chain FROM audit_records WHERE seq = $1";
const MOVE_SQLITE: &str = "UPDATE audit_head SET seq = $1, chain = $2 WHERE id = 1";
/// Arrays, so that every batch size is the same prepared statement.
const APPEND_POSTGRES: &str = "WITH added AS (\
    INSERT INTO audit_records (seq, canon, leaf, chain, ts, kind, request_id, actor, action, resource, decision, \
    instance, intent) SELECT * FROM UNNEST($3::int8[], $4::bytea[], $5::bytea[], $6::bytea[], $7::text[], $8::text[], \
    $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::int8[])), \
    beside AS (INSERT INTO audit_private (seq, name, salt, value) \
    SELECT * FROM UNNEST($16::int8[], $17::text[], $18::bytea[], $19::text[])) \
    UPDATE audit_head SET seq = $1, chain = $2 WHERE id = 1";

/// A number as the database holds it.
pub(super) fn stored(seq: u64) -> Result<i64, StoreError> {
    i64::try_from(seq).map_err(|_| StoreError::Corrupt("a sequence number is out of range".to_owned()))
}

/// A number from the database.
pub(super) fn loaded(seq: i64) -> Result<u64, StoreError> {
    u64::try_from(seq).map_err(|_| StoreError::Corrupt("a sequence number is negative".to_owned()))
}

/// A hash from the database.
pub(super) fn hash(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a hash is not 32 bytes long".to_owned()))
}

fn no_head() -> StoreError {
    StoreError::Corrupt("the audit log has no head: run `rack-gateway-api migrate`".to_owned())
}

fn no_statement() -> StoreError {
    StoreError::Corrupt("there is no statement for a batch of this size".to_owned())
}

fn end_of(sealed: &[Sealed], head: &Head) -> Link {
    sealed.last().map_or_else(|| head.clone(), |last| Link { seq: last.seq, chain: last.chain })
}

async fn open_postgres(options: &PgConnectOptions, setup: &Arc<str>) -> Result<PgConnection, StoreError> {
    let mut connection = options.connect().await?;
    sqlx::raw_sql(AssertSqlSafe(Arc::clone(setup))).execute(&mut connection).await?;
    Ok(connection)
}

/// Opens a transaction and locks the head. A kept connection may have died while idle, when the
/// server restarted; nothing was written on it yet, so one fresh attempt is safe.
async fn lock_postgres(
    options: &PgConnectOptions,
    setup: &Arc<str>,
    kept: Option<PgConnection>,
) -> Result<(PgConnection, Head, u64), StoreError> {
    if let Some(mut connection) = kept {
        match sqlx::raw_sql(LOCK_POSTGRES).fetch_one(&mut connection).await {
            Ok(row) => return read_head(&row).map(|(head, epoch)| (connection, head, epoch)),
            Err(error) => tracing::debug!(error = %StoreError::from(error), "reconnecting to append records"),
        }
    }
    let mut connection = open_postgres(options, setup).await?;
    match sqlx::raw_sql(LOCK_POSTGRES).fetch_optional(&mut connection).await? {
        Some(row) => read_head(&row).map(|(head, epoch)| (connection, head, epoch)),
        None => Err(no_head()),
    }
}

fn read_head(row: &PgRow) -> Result<(Head, u64), StoreError> {
    let chain: Vec<u8> = row.try_get(1)?;
    Ok((Head { seq: loaded(row.try_get(0)?)?, chain: hash(&chain)? }, loaded(row.try_get(2)?)?))
}

async fn append_postgres(
    connection: &mut PgConnection,
    head: &Head,
    seal: impl FnOnce(&Head) -> Vec<Sealed> + Send,
    sent: &mut Option<Link>,
) -> Result<Vec<Sealed>, StoreError> {
    let sealed = seal(head);
    let end = end_of(&sealed, head);
    let column = |pick: fn(&Keys) -> Option<&str>| sealed.iter().map(|r| pick(&r.keys)).collect::<Vec<_>>();
    let numbers = sealed.iter().map(|r| stored(r.seq)).collect::<Result<Vec<_>, _>>()?;
    let intents = sealed.iter().map(|r| r.keys.intent.map(stored).transpose()).collect::<Result<Vec<_>, _>>()?;
    let private: Vec<(i64, &PrivateValue)> = sealed
        .iter()
        .zip(&numbers)
        .flat_map(|(record, seq)| record.private.iter().map(move |value| (*seq, value)))
        .collect();
    let insert = sqlx::query(APPEND_POSTGRES)
        .bind(stored(end.seq)?)
        .bind(end.chain.as_slice())
        .bind(&numbers)
        .bind(sealed.iter().map(|r| r.canon.as_slice()).collect::<Vec<_>>())
        .bind(sealed.iter().map(|r| r.leaf.as_slice()).collect::<Vec<_>>())
        .bind(sealed.iter().map(|r| r.chain.as_slice()).collect::<Vec<_>>())
        .bind(column(|k| Some(&k.ts)))
        .bind(column(|k| Some(&k.kind)))
        .bind(column(|k| k.request_id.as_deref()))
        .bind(column(|k| k.actor.as_deref()))
        .bind(column(|k| k.action.as_deref()))
        .bind(column(|k| k.resource.as_deref()))
        .bind(column(|k| k.decision.as_deref()))
        .bind(column(|k| Some(&k.instance)))
        .bind(intents)
        .bind(private.iter().map(|(seq, _)| *seq).collect::<Vec<_>>())
        .bind(private.iter().map(|(_, value)| value.name.as_str()).collect::<Vec<_>>())
        .bind(private.iter().map(|(_, value)| value.salt.as_slice()).collect::<Vec<_>>())
        .bind(private.iter().map(|(_, value)| value.value.as_str()).collect::<Vec<_>>());
    insert.execute(&mut *connection).await?;
    *sent = Some(end);
    sqlx::raw_sql("COMMIT").execute(&mut *connection).await?;
    *sent = None;
    Ok(sealed)
}

async fn append_sqlite(
    pool: &SqlitePool,
    sql: &InsertSql,
    seal: impl FnOnce(&Head) -> Vec<Sealed> + Send,
    sent: &mut Option<Link>,
) -> Result<Appended, StoreError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin_with(BEGIN_SQLITE).await?;
    let row: Option<(i64, Vec<u8>, i64)> = sqlx::query_as(HEAD).fetch_optional(&mut *tx).await?;
    let (seq, chain, epoch) = row.ok_or_else(no_head)?;
    let head = Head { seq: loaded(seq)?, chain: hash(&chain)? };
    let sealed = seal(&head);
    let end = end_of(&sealed, &head);
    sql.insert(&mut tx, &sealed).await?;
    sqlx::query(MOVE_SQLITE).bind(stored(end.seq)?).bind(end.chain.as_slice()).execute(&mut *tx).await?;
    *sent = Some(end);
    tx.commit().await?;
    *sent = None;
    Ok(Appended { sealed, epoch: loaded(epoch)? })
}

/// Most rows of one statement. SQLite has no arrays, so each number of rows is a statement of its
/// own; one for each number, because every statement is a trip to the thread of the connection.
pub(super) const MOST_ROWS: usize = 64;

/// The insert statements of SQLite, for one row, two, and so on.
#[derive(Debug)]
pub(super) struct InsertSql {
    records: Vec<Arc<str>>,
    private: Vec<Arc<str>>,
}

impl InsertSql {
    fn new() -> Self {
        let columns =
            "seq, canon, leaf, chain, ts, kind, request_id, actor, action, resource, decision, instance, intent";
        let statements = |table: &str, columns: &str| -> Vec<Arc<str>> {
            let row = format!("({})", vec!["?"; columns.split(',').count()].join(","));
            let statement = |rows| {
                let values = vec![row.as_str(); rows].join(",");
                format!("INSERT INTO {table} ({columns}) VALUES {values}").into()
            };
            (1..=MOST_ROWS).map(statement).collect()
        };
        Self {
            records: statements("audit_records", columns),
            private: statements("audit_private", "seq, name, salt, value"),
        }
    }

    async fn insert(&self, connection: &mut SqliteConnection, records: &[Sealed]) -> Result<(), StoreError> {
        for chunk in records.chunks(MOST_ROWS) {
            let sql = self.records.get(chunk.len().saturating_sub(1)).ok_or_else(no_statement)?;
            let mut query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
            for record in chunk {
                query = query
                    .bind(stored(record.seq)?)
                    .bind(record.canon.as_slice())
                    .bind(record.leaf.as_slice())
                    .bind(record.chain.as_slice())
                    .bind(&record.keys.ts)
                    .bind(&record.keys.kind)
                    .bind(record.keys.request_id.as_deref())
                    .bind(record.keys.actor.as_deref())
                    .bind(record.keys.action.as_deref())
                    .bind(record.keys.resource.as_deref())
                    .bind(record.keys.decision.as_deref())
                    .bind(&record.keys.instance)
                    .bind(record.keys.intent.map(stored).transpose()?);
            }
            query.execute(&mut *connection).await?;
        }
        self.insert_private(connection, records).await
    }

    async fn insert_private(&self, connection: &mut SqliteConnection, records: &[Sealed]) -> Result<(), StoreError> {
        let values: Vec<(u64, &PrivateValue)> =
            records.iter().flat_map(|record| record.private.iter().map(|value| (record.seq, value))).collect();
        for chunk in values.chunks(MOST_ROWS) {
            let sql = self.private.get(chunk.len().saturating_sub(1)).ok_or_else(no_statement)?;
            let mut query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
            for (seq, value) in chunk {
                query = query.bind(stored(*seq)?).bind(&value.name).bind(value.salt.as_slice()).bind(&value.value);
            }
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }
}
