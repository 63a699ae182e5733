//! Reads of the record table, in order of the chain.

use std::fmt;

use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement, Value};

use super::append::{Head, Keys, hash, loaded, stored};
use super::{Backend, Store, StoreError};

/// A record as it is stored, believed in nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the chain.
    pub seq: u64,
    /// Its canonical bytes.
    pub canon: Vec<u8>,
    /// The stored hash of `canon`.
    pub leaf: Vec<u8>,
    /// The stored chain value.
    pub chain: Vec<u8>,
    /// The searchable columns joined by [`JOIN`], an absent one as [`ABSENT`]: one comparison
    /// instead of nine. No column holds control characters, so the form is unambiguous.
    pub columns: String,
}

/// Between two searchable columns.
pub const JOIN: char = '\u{1f}';
/// In place of a searchable column that is not there.
pub const ABSENT: char = '\u{1e}';

/// The columns of [`Record::columns`], in order.
const COLUMNS: &str = "coalesce(ts, {a}) || {j} || coalesce(kind, {a}) || {j} || coalesce(request_id, {a}) || {j} || \
    coalesce(actor, {a}) || {j} || coalesce(action, {a}) || {j} || coalesce(resource, {a}) || {j} || \
    coalesce(decision, {a}) || {j} || coalesce(instance, {a}) || {j} || coalesce(CAST(intent AS TEXT), {a})";

/// A searchable column: as in the record, but without control characters, which PostgreSQL cannot
/// all store and which separate columns when a record is checked.
pub(crate) fn column(text: &str) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{fffd}") } else { text.to_owned() }
}

/// Where the log ends, seen at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Its name and head; `None` when there is no head.
    pub head: Option<(String, Head)>,
    /// The largest number of a record; 0 when there is none.
    pub last: u64,
}

/// What a sweep for open intents needs of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    /// Its number.
    pub seq: u64,
    /// For an outcome: the number of its intent. For an intent: nothing.
    pub outcome_of: Option<u64>,
    /// The request.
    pub request_id: Option<String>,
    /// Who wrote it.
    pub instance: String,
}

impl Store {
    /// The head of the chain and its origin; `None` before the first process started.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when the tables are missing.
    pub async fn head(&self) -> Result<Option<(String, Head)>, StoreError> {
        Ok(self.ends().await?.head)
    }

    /// The head and the last record, seen at one moment even while records are added.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when the tables are missing.
    pub async fn ends(&self) -> Result<Ends, StoreError> {
        let sql = "SELECT origin, seq, chain, (SELECT max(seq) FROM audit_records) FROM audit_head WHERE id = 1 \
             UNION ALL SELECT NULL, NULL, NULL, (SELECT max(seq) FROM audit_records)";
        let rows = self.select(sql, vec![]).await?;
        let mut ends = Ends { head: None, last: 0 };
        for row in rows {
            ends.last = row.try_get_by_index::<Option<i64>>(3)?.map_or(Ok(0), loaded)?;
            if let Some(origin) = row.try_get_by_index::<Option<String>>(0)? {
                let chain: Vec<u8> = row.try_get_by_index(2)?;
                let head = Head { seq: loaded(row.try_get_by_index(1)?)?, chain: hash(&chain)? };
                ends.head = Some((origin, head));
            }
        }
        Ok(ends)
    }

    /// Makes the head of an empty chain unless there is one already.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when the tables are missing.
    pub async fn head_init(&self, origin: &str, chain: [u8; 32]) -> Result<(), StoreError> {
        if self.head().await?.is_some() {
            return Ok(());
        }
        let sql = "INSERT INTO audit_head (id, origin, seq, chain) VALUES (1, $1, 0, $2)";
        let statement = self.statement(sql, vec![origin.into(), chain.to_vec().into()]);
        let db = self.inner.write.clone();
        match self.run(async move { Ok(db.execute_raw(statement).await.map(|_| ())?) }).await {
            // Another process was first, or SQLite's guard against a second head spoke.
            Err(error) if !error.is_unavailable() && self.head().await?.is_some() => {
                tracing::debug!(%error, "the chain has been begun by another process");
                Ok(())
            }
            result => result,
        }
    }

    /// Up to `limit` records after number `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn records_after(&self, after: u64, limit: u64) -> Result<Vec<Record>, StoreError> {
        let clause = "WHERE seq > $1 ORDER BY seq LIMIT $2";
        self.records(clause, vec![stored(after)?.into(), stored(limit)?.into()]).await
    }

    /// The record with that number.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn record(&self, seq: u64) -> Result<Record, StoreError> {
        let found = self.records("WHERE seq = $1", vec![stored(seq)?.into()]).await?;
        found.into_iter().next().ok_or(StoreError::NotFound)
    }

    /// The records of one request, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn records_by_request(&self, id: &str, limit: u64) -> Result<Vec<Record>, StoreError> {
        let clause = "WHERE request_id = $1 ORDER BY seq LIMIT $2";
        self.records(clause, vec![id.into(), stored(limit)?.into()]).await
    }

    /// The time of the first record that a tree of `size` records does not cover; `None` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn unanchored_since(&self, size: u64) -> Result<Option<String>, StoreError> {
        let sql = "SELECT ts FROM audit_records WHERE seq > $1 ORDER BY seq LIMIT 1";
        let rows = self.select(sql, vec![stored(size)?.into()]).await?;
        rows.first().map(|row| Ok(row.try_get_by_index(0)?)).transpose()
    }

    /// Up to `limit` intents and outcomes after number `after`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn records_halves(&self, after: u64, limit: u64) -> Result<Vec<Half>, StoreError> {
        let sql = "SELECT seq, intent, request_id, instance FROM audit_records \
             WHERE seq > $1 AND kind IN ('intent', 'outcome') ORDER BY seq LIMIT $2";
        let rows = self.select(sql, vec![stored(after)?.into(), stored(limit)?.into()]).await?;
        rows.iter()
            .map(|row| {
                let intent: Option<i64> = row.try_get_by_index(1)?;
                Ok(Half {
                    seq: loaded(row.try_get_by_index(0)?)?,
                    outcome_of: intent.map(loaded).transpose()?,
                    request_id: row.try_get_by_index(2)?,
                    instance: row.try_get_by_index(3)?,
                })
            })
            .collect()
    }

    pub(super) async fn records(&self, clause: &str, values: Vec<Value>) -> Result<Vec<Record>, StoreError> {
        let columns = match self.backend() {
            Backend::Sqlite => COLUMNS.replace("{j}", "char(31)").replace("{a}", "char(30)"),
            Backend::Postgres => COLUMNS.replace("{j}", "chr(31)").replace("{a}", "chr(30)"),
        };
        let sql = format!("SELECT seq, canon, leaf, chain, {columns} FROM audit_records {clause}");
        let rows = self.select(&sql, values).await?;
        rows.iter()
            .map(|row| {
                Ok(Record {
                    seq: loaded(row.try_get_by_index(0)?)?,
                    canon: row.try_get_by_index(1)?,
                    leaf: row.try_get_by_index(2)?,
                    chain: row.try_get_by_index(3)?,
                    columns: row.try_get_by_index(4)?,
                })
            })
            .collect()
    }

    pub(super) async fn select(&self, sql: &str, values: Vec<Value>) -> Result<Vec<QueryResult>, StoreError> {
        let statement = self.statement(sql, values);
        let db = self.inner.read.clone();
        self.run(async move { Ok(db.query_all_raw(statement).await?) }).await
    }

    pub(super) fn statement(&self, sql: &str, values: Vec<Value>) -> Statement {
        let backend = match self.backend() {
            Backend::Sqlite => DbBackend::Sqlite,
            Backend::Postgres => DbBackend::Postgres,
        };
        Statement::from_sql_and_values(backend, sql, values)
    }
}

impl Keys {
    /// The searchable columns in the form of [`Record::columns`].
    #[must_use]
    pub fn joined(&self) -> String {
        let mut joined = String::with_capacity(128);
        let mut column = |value: Option<&str>| {
            if !joined.is_empty() {
                joined.push(JOIN);
            }
            match value {
                Some(value) => joined.push_str(value),
                None => joined.push(ABSENT),
            }
        };
        column(Some(&self.ts));
        column(Some(&self.kind));
        column(self.request_id.as_deref());
        column(self.actor.as_deref());
        column(self.action.as_deref());
        column(self.resource.as_deref());
        column(self.decision.as_deref());
        column(Some(&self.instance));
        column(self.intent.map(|seq| seq.to_string()).as_deref());
        joined
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record {} {}", self.seq, String::from_utf8_lossy(&self.canon))
    }
}
