//! Personal values beside the records, which hold commitments to them. A value may be deleted with its salt,
//! never changed.

use std::fmt;

use sea_orm::{ConnectionTrait as _, Value};

use super::append::{loaded, stored};
use super::value::begin;
use super::words::Term;
use super::{Backend, Store, StoreError, column};

/// The name of the one value that is of who acted. All others are of the person that the record is about.
pub const SOURCE_IP: &str = "src_ip";

/// A personal value of a record that is yet to be stored.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateValue {
    /// Its name in the record.
    pub name: String,
    /// What makes the commitment unguessable.
    pub salt: [u8; 16],
    /// The value itself.
    pub value: String,
}

/// A personal value, as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateRow {
    /// The record.
    pub seq: u64,
    /// Its name in the record.
    pub name: String,
    /// What makes the commitment unguessable.
    pub salt: [u8; 16],
    /// The value itself.
    pub value: String,
}

impl fmt::Debug for PrivateValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateValue").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for PrivateRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateRow").field("seq", &self.seq).field("name", &self.name).finish_non_exhaustive()
    }
}

/// Which values are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateOf {
    /// Those of one record.
    Record(u64),
    /// Where this person or token came from when it acted.
    ActedBy(String),
    /// What records about this person hold of them; found by the index of words.
    About(String),
}

/// Values that are deleted in one transaction.
const BATCH: usize = 1_000;

impl Store {
    /// The personal values of records `first` to `last` that are still there, by record and name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when a salt is not 16 bytes long.
    pub async fn private_of(&self, first: u64, last: u64) -> Result<Vec<PrivateRow>, StoreError> {
        let sql = "SELECT seq, name, salt, value FROM audit_private WHERE seq >= $1 AND seq <= $2 ORDER BY seq, name";
        let rows = self.select(sql, vec![stored(first)?.into(), stored(last)?.into()]).await?;
        let length = |_| StoreError::Corrupt("a salt is not 16 bytes long".to_owned());
        let values = rows.iter().map(|row| {
            Ok(PrivateRow {
                seq: loaded(row.try_get_by_index(0)?)?,
                name: row.try_get_by_index(1)?,
                salt: row.try_get_by_index::<Vec<u8>>(2)?.as_slice().try_into().map_err(length)?,
                value: row.try_get_by_index(3)?,
            })
        });
        values.collect()
    }

    /// At most `limit` values that are still there, as record and name, in this order: what an erasure hits.
    /// With `name`, none of another name; with `after`, those behind that one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn private_find(
        &self,
        whose: &PrivateOf,
        name: Option<&str>,
        after: Option<&(u64, String)>,
        limit: u64,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let (seq, last_name) = after.map_or((0, ""), |(seq, name)| (*seq, name.as_str()));
        let behind = vec![stored(seq)?.into(), last_name.into(), stored(limit)?.into()];
        let (sql, values) = self.find_sql(whose, name, behind)?;
        // The number of the table that is read first, so that nothing has to be sorted.
        let key = match (whose, self.backend()) {
            (PrivateOf::Record(_), _) => "p.seq",
            (PrivateOf::ActedBy(_), _) => "r.seq",
            (PrivateOf::About(_), Backend::Sqlite) => "w.rowid",
            (PrivateOf::About(_), Backend::Postgres) => "w.seq",
        };
        let sql = format!(
            "SELECT p.seq, p.name FROM {sql} AND {key} >= $1 AND ({key} > $1 OR p.name > $2) \
             ORDER BY {key}, p.name LIMIT $3"
        );
        let rows = self.select(&sql, values).await?;
        rows.iter().map(|row| Ok((loaded(row.try_get_by_index(0)?)?, row.try_get_by_index(1)?))).collect()
    }

    /// How many values are still there, by name: what an erasure hits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn private_count(&self, whose: &PrivateOf, name: Option<&str>) -> Result<Vec<(String, u64)>, StoreError> {
        let (sql, values) = self.find_sql(whose, name, vec![])?;
        let sql = format!("SELECT p.name, count(*) FROM {sql} GROUP BY p.name ORDER BY p.name");
        let rows = self.select(&sql, values).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, loaded(row.try_get_by_index(1)?)?))).collect()
    }

    /// Tables and conditions, and `values` with those of the conditions behind them.
    fn find_sql(
        &self,
        whose: &PrivateOf,
        name: Option<&str>,
        mut values: Vec<Value>,
    ) -> Result<(String, Vec<Value>), StoreError> {
        let mut bind = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        let mut sql = match whose {
            PrivateOf::Record(seq) => format!("audit_private p WHERE p.seq = {}", bind(stored(*seq)?.into())),
            PrivateOf::ActedBy(id) => format!(
                "audit_records r JOIN audit_private p ON p.seq = r.seq WHERE r.actor = {} AND p.name = {}",
                bind(column(id).into()),
                bind(SOURCE_IP.into())
            ),
            PrivateOf::About(id) => {
                let (key, matches) = match self.backend() {
                    Backend::Sqlite => ("rowid", "w.audit_words MATCH"),
                    Backend::Postgres => ("seq", "w.words @@"),
                };
                let query = bind(self.matching(&[Term::Person.of(id)]).into());
                let query = match self.backend() {
                    Backend::Sqlite => query,
                    Backend::Postgres => format!("CAST({query} AS tsquery)"),
                };
                // Where somebody else came from who did something about this person is not theirs.
                format!(
                    "audit_words w CROSS JOIN audit_private p CROSS JOIN audit_records r WHERE {matches} {query} \
                     AND p.seq = w.{key} AND r.seq = w.{key} AND (p.name <> {} OR r.actor IS NULL)",
                    bind(SOURCE_IP.into())
                )
            }
        };
        if let Some(name) = name {
            sql.push_str(&format!(" AND p.name = {}", bind(name.into())));
        }
        Ok((sql, values))
    }

    /// Deletes values with their salts, and says how many were there. Their erasure must be on the record.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was deleted until then stays deleted.
    pub async fn private_erase(&self, values: &[(u64, String)]) -> Result<u64, StoreError> {
        let mut erased = 0;
        for batch in values.chunks(BATCH) {
            let sql = "DELETE FROM audit_private WHERE seq = $1 AND name = $2";
            let deletes = batch.iter().map(|(seq, name)| {
                Ok::<_, StoreError>(self.statement(sql, vec![stored(*seq)?.into(), name.as_str().into()]))
            });
            let deletes = deletes.collect::<Result<Vec<_>, _>>()?;
            let db = self.inner.write.clone();
            let done = self.run(async move {
                let tx = begin(&db).await?;
                let mut count = 0;
                for delete in deletes {
                    count += tx.execute_raw(delete).await?.rows_affected();
                }
                tx.commit().await?;
                Ok(count)
            });
            erased += done.await?;
        }
        if self.backend() == Backend::Sqlite {
            self.fold_journal().await;
        }
        Ok(erased)
    }

    /// The journal still holds the pages as they were. Somebody who reads may be in the way; then the next
    /// checkpoint does it.
    async fn fold_journal(&self) {
        let db = self.inner.write.clone();
        let folding = async move { Ok(db.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.map(|_| ())?) };
        if let Err(error) = self.run(folding).await {
            tracing::debug!(%error, "the journal was not folded into the database file yet");
        }
    }
}
