//! Anchors that were put where they cannot be changed and read back, and declared breaks of the log. A copy, so
//! that all replicas know the state: the bucket is the truth.

use sea_orm::{ConnectionTrait as _, QueryResult};

use super::append::{hash, loaded, stored};
use super::{Store, StoreError};

/// An anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorRow {
    /// The epoch of the log, from 1.
    pub epoch: u64,
    /// Its number in the epoch, from 1.
    pub number: u64,
    /// Records that it covers.
    pub size: u64,
    /// Root of the tree of that size.
    pub root: [u8; 32],
    /// Chain value after that record.
    pub chain: [u8; 32],
    /// The note of the checkpoint.
    pub checkpoint: Vec<u8>,
    /// The note of the metadata.
    pub meta: Vec<u8>,
    /// When it was made, as records spell times.
    pub made_at: String,
    /// Until when it promises the next one, as records spell times.
    pub next_due: String,
    /// Whether a software key or a folder stands in for KMS and S3.
    pub development: bool,
}

/// An epoch that began with a declared break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochRow {
    /// Its number, from 2.
    pub number: u64,
    /// The record that declares it.
    pub seq: u64,
    /// Anchors of the epochs before with a larger size are not of this log.
    pub kept: u64,
}

const COLUMNS: &str = "epoch, number, size, root, chain, checkpoint, meta, made_at, next_due, development";

/// Of this log, and not of a lost branch.
const HOLDS: &str =
    "NOT EXISTS (SELECT 1 FROM audit_epochs e WHERE e.number > audit_anchors.epoch AND audit_anchors.size > e.kept)";

fn anchor(row: &QueryResult) -> Result<AnchorRow, StoreError> {
    Ok(AnchorRow {
        epoch: loaded(row.try_get_by_index(0)?)?,
        number: loaded(row.try_get_by_index(1)?)?,
        size: loaded(row.try_get_by_index(2)?)?,
        root: hash(&row.try_get_by_index::<Vec<u8>>(3)?)?,
        chain: hash(&row.try_get_by_index::<Vec<u8>>(4)?)?,
        checkpoint: row.try_get_by_index(5)?,
        meta: row.try_get_by_index(6)?,
        made_at: row.try_get_by_index(7)?,
        next_due: row.try_get_by_index(8)?,
        development: row.try_get_by_index(9)?,
    })
}

impl Store {
    /// Notes an anchor. Noting the same one again is fine.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is another one of that number; [`StoreError::Unavailable`].
    pub async fn anchor_add(&self, row: &AnchorRow) -> Result<(), StoreError> {
        if let Some(known) = self.anchor_find(row.epoch, row.number).await? {
            return same_anchor(&known, row);
        }
        let sql = format!("INSERT INTO audit_anchors ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)");
        let values = vec![
            stored(row.epoch)?.into(),
            stored(row.number)?.into(),
            stored(row.size)?.into(),
            row.root.to_vec().into(),
            row.chain.to_vec().into(),
            row.checkpoint.clone().into(),
            row.meta.clone().into(),
            row.made_at.as_str().into(),
            row.next_due.as_str().into(),
            row.development.into(),
        ];
        match self.add(&sql, values).await {
            // Another process was first.
            Err(error) if !error.is_unavailable() => match self.anchor_find(row.epoch, row.number).await? {
                Some(known) => same_anchor(&known, row),
                None => Err(error),
            },
            result => result,
        }
    }

    /// The newest anchor: the last one of the last epoch.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn anchor_last(&self) -> Result<Option<AnchorRow>, StoreError> {
        Ok(self.anchors("ORDER BY epoch DESC, number DESC LIMIT 1", vec![]).await?.pop())
    }

    /// The anchor of that epoch and number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn anchor_find(&self, epoch: u64, number: u64) -> Result<Option<AnchorRow>, StoreError> {
        let values = vec![stored(epoch)?.into(), stored(number)?.into()];
        Ok(self.anchors("WHERE epoch = $1 AND number = $2", values).await?.pop())
    }

    /// The last anchor that covers `size` records or fewer of this log: those of a lost branch do not count.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn anchor_at_or_before(&self, size: u64) -> Result<Option<AnchorRow>, StoreError> {
        let clause = format!("WHERE size <= $1 AND {HOLDS} ORDER BY size DESC, epoch DESC, number DESC LIMIT 1");
        Ok(self.anchors(&clause, vec![stored(size)?.into()]).await?.pop())
    }

    /// The first anchor that covers `size` records or more of this log: those of a lost branch do not count.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn anchor_covering(&self, size: u64) -> Result<Option<AnchorRow>, StoreError> {
        let clause = format!("WHERE size >= $1 AND {HOLDS} ORDER BY size, epoch, number LIMIT 1");
        Ok(self.anchors(&clause, vec![stored(size)?.into()]).await?.pop())
    }

    /// At most `limit` anchors behind that one, by epoch and number.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn anchors_after(&self, epoch: u64, number: u64, limit: u64) -> Result<Vec<AnchorRow>, StoreError> {
        let clause = "WHERE (epoch, number) > ($1, $2) ORDER BY epoch, number LIMIT $3";
        self.anchors(clause, vec![stored(epoch)?.into(), stored(number)?.into(), stored(limit)?.into()]).await
    }

    /// All declared epochs, in order. A log without a break has none: epoch 1 needs no declaration.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn epochs(&self) -> Result<Vec<EpochRow>, StoreError> {
        let rows = self.select("SELECT number, seq, kept FROM audit_epochs ORDER BY number", vec![]).await?;
        let epochs = rows.iter().map(|row| {
            Ok(EpochRow {
                number: loaded(row.try_get_by_index(0)?)?,
                seq: loaded(row.try_get_by_index(1)?)?,
                kept: loaded(row.try_get_by_index(2)?)?,
            })
        });
        epochs.collect()
    }

    /// Notes an epoch, after the record that declares it. Noting the same one again is fine.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is another one of that number; [`StoreError::Unavailable`].
    pub async fn epoch_add(&self, epoch: EpochRow) -> Result<(), StoreError> {
        if let Some(known) = self.epoch_find(epoch.number).await? {
            return same_epoch(known, epoch);
        }
        let sql = "INSERT INTO audit_epochs (number, seq, kept) VALUES ($1, $2, $3)";
        let values = vec![stored(epoch.number)?.into(), stored(epoch.seq)?.into(), stored(epoch.kept)?.into()];
        match self.add(sql, values).await {
            Err(error) if !error.is_unavailable() => match self.epoch_find(epoch.number).await? {
                Some(known) => same_epoch(known, epoch),
                None => Err(error),
            },
            result => result,
        }
    }

    async fn epoch_find(&self, number: u64) -> Result<Option<EpochRow>, StoreError> {
        Ok(self.epochs().await?.into_iter().find(|epoch| epoch.number == number))
    }

    async fn add(&self, sql: &str, values: Vec<sea_orm::Value>) -> Result<(), StoreError> {
        let statement = self.statement(sql, values);
        let db = self.inner.write.clone();
        self.run(async move { Ok(db.execute_raw(statement).await.map(|_| ())?) }).await
    }

    async fn anchors(&self, clause: &str, values: Vec<sea_orm::Value>) -> Result<Vec<AnchorRow>, StoreError> {
        let rows = self.select(&format!("SELECT {COLUMNS} FROM audit_anchors {clause}"), values).await?;
        rows.iter().map(anchor).collect()
    }
}

fn same_anchor(known: &AnchorRow, row: &AnchorRow) -> Result<(), StoreError> {
    let (epoch, number) = (row.epoch, row.number);
    let other = || StoreError::Conflict(format!("there is another anchor {number} of epoch {epoch} already"));
    if known == row { Ok(()) } else { Err(other()) }
}

fn same_epoch(known: EpochRow, epoch: EpochRow) -> Result<(), StoreError> {
    let other = || StoreError::Conflict(format!("there is another epoch {} already", epoch.number));
    if known == epoch { Ok(()) } else { Err(other()) }
}
