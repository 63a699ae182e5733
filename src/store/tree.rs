//! The nodes of the tree over the records, by level and place. Level 0 is the records' own leaves; the
//! others are kept beside them, one for each 256 nodes below. They are only ever added.

use sqlx::{Postgres, QueryBuilder, Sqlite};

use super::append::{hash, loaded, stored};
use super::{Backend, Store, StoreError};

/// Rows of one statement.
const ROWS: usize = 1_000;

impl Store {
    /// The nodes of a level from place `first` on (level 0: the leaves, of record `first + 1` on), at most
    /// `count`, up to the first that is not there.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Corrupt`] when one is no hash.
    pub async fn nodes(&self, level: u32, first: u64, count: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        let (begin, end) = (stored(first)?, stored(first.saturating_add(count))?);
        let rows = if level == 0 {
            let sql = "SELECT seq - 1, leaf FROM audit_records WHERE seq > $1 AND seq <= $2 ORDER BY seq";
            self.select(sql, vec![begin.into(), end.into()]).await?
        } else {
            let sql = "SELECT idx, hash FROM audit_nodes WHERE level = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
            self.select(sql, vec![i64::from(level).into(), begin.into(), end.into()]).await?
        };
        let mut nodes = Vec::with_capacity(rows.len());
        for (row, expected) in rows.iter().zip(first..) {
            if loaded(row.try_get_by_index(0)?)? != expected {
                break;
            }
            nodes.push(hash(&row.try_get_by_index::<Vec<u8>>(1)?)?);
        }
        Ok(nodes)
    }

    /// Adds nodes of a level above the leaves, from place `first` on. Those that are there stay.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; on SQLite [`StoreError::Corrupt`] when there is another node in its place.
    pub async fn nodes_add(&self, level: u32, first: u64, nodes: Vec<[u8; 32]>) -> Result<(), StoreError> {
        let first = stored(first)?;
        let inner = std::sync::Arc::clone(&self.inner);
        self.run(async move {
            for (chunk, begin) in nodes.chunks(ROWS).zip((first..).step_by(ROWS)) {
                let rows = chunk.iter().zip(begin..);
                match inner.backend {
                    Backend::Sqlite => {
                        let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(INSERT);
                        sql.push_values(rows, |mut row, (hash, idx)| {
                            row.push_bind(i64::from(level)).push_bind(idx).push_bind(hash.to_vec());
                        });
                        let pool = inner.write.get_sqlite_connection_pool();
                        sql.push(AGAIN).build().persistent(false).execute(pool).await?;
                    }
                    Backend::Postgres => {
                        let mut sql: QueryBuilder<Postgres> = QueryBuilder::new(INSERT);
                        sql.push_values(rows, |mut row, (hash, idx)| {
                            row.push_bind(i64::from(level)).push_bind(idx).push_bind(hash.to_vec());
                        });
                        let pool = inner.write.get_postgres_connection_pool();
                        sql.push(AGAIN).build().persistent(false).execute(pool).await?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// The chain value after that record, as it is stored.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Corrupt`] when it is no hash; [`StoreError::Unavailable`].
    pub async fn chain_at(&self, seq: u64) -> Result<[u8; 32], StoreError> {
        let rows = self.select("SELECT chain FROM audit_records WHERE seq = $1", vec![stored(seq)?.into()]).await?;
        let row = rows.first().ok_or(StoreError::NotFound)?;
        hash(&row.try_get_by_index::<Vec<u8>>(0)?)
    }

    /// How many nodes a level above the leaves has.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn nodes_count(&self, level: u32) -> Result<u64, StoreError> {
        let sql = "SELECT max(idx) FROM audit_nodes WHERE level = $1";
        let rows = self.select(sql, vec![i64::from(level).into()]).await?;
        let last: Option<i64> = rows.first().map(|row| row.try_get_by_index(0)).transpose()?.flatten();
        last.map_or(Ok(0), |last| Ok(loaded(last)? + 1))
    }
}

const INSERT: &str = "INSERT INTO audit_nodes (level, idx, hash) ";
const AGAIN: &str = " ON CONFLICT (level, idx) DO NOTHING";
