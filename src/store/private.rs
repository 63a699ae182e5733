//! Personal values beside the records, which hold commitments to them. A value may be deleted with its salt,
//! never changed.

use std::fmt;

use sea_orm::{ConnectionTrait as _, Value};

use super::append::{loaded, stored};
use super::value::begin;
use super::words::Term;
use super::{Backend, Store, StoreError};

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

/// Whose values are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrivateOf {
    /// Those of one record.
    Record(u64),
    /// Those of a person: where they came from when they acted, and what records about them hold. Records
    /// about them are found by the index of words.
    Person(String),
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
    /// With `name`, none of another name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn private_find(
        &self,
        whose: &PrivateOf,
        name: Option<&str>,
        limit: u64,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        let named = |at: u32| if name.is_some() { format!("AND p.name = ${at}") } else { String::new() };
        let (sql, mut values): (String, Vec<Value>) = match whose {
            PrivateOf::Record(seq) => {
                let sql = format!(
                    "SELECT p.seq, p.name FROM audit_private p WHERE p.seq = $1 {} ORDER BY 1, 2 LIMIT $2",
                    named(3)
                );
                (sql, vec![stored(*seq)?.into(), stored(limit)?.into()])
            }
            PrivateOf::Person(id) => {
                let matching = match self.backend() {
                    Backend::Sqlite => "SELECT rowid AS seq FROM audit_words WHERE audit_words MATCH $4",
                    Backend::Postgres => "SELECT seq FROM audit_words WHERE words @@ CAST($4 AS tsquery)",
                };
                let named = named(5);
                let sql = format!(
                    "SELECT p.seq, p.name FROM audit_records r JOIN audit_private p ON p.seq = r.seq \
                     WHERE r.actor = $1 AND p.name = $3 {named} \
                     UNION SELECT p.seq, p.name FROM ({matching}) w JOIN audit_private p ON p.seq = w.seq \
                     JOIN audit_records r ON r.seq = w.seq \
                     WHERE (p.name <> $3 OR r.actor IS NULL) {named} ORDER BY 1, 2 LIMIT $2"
                );
                let about = self.matching(&[Term::Person.of(id)]);
                (sql, vec![id.as_str().into(), stored(limit)?.into(), SOURCE_IP.into(), about.into()])
            }
        };
        values.extend(name.map(Value::from));
        let rows = self.select(&sql, values).await?;
        rows.iter().map(|row| Ok((loaded(row.try_get_by_index(0)?)?, row.try_get_by_index(1)?))).collect()
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
            // The journal still holds the pages as they were.
            let db = self.inner.write.clone();
            self.run(async move { Ok(db.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.map(|_| ())?) })
                .await?;
        }
        Ok(erased)
    }
}
