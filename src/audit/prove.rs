//! The proof of one record, from the tree that is kept beside the log.

use super::{Keeper, tree};
use crate::proof::chain;
use crate::proof::record_proof::RecordProof;
use crate::proof::tree::is_included;
use crate::store::StoreError;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// No anchor covers the record yet.
    #[error("no anchor covers record {seq} yet: the newest one covers records 1 to {covered}")]
    Unanchored {
        /// The record.
        seq: u64,
        /// What is covered.
        covered: u64,
    },
    /// No proof is handed out that would not hold.
    #[error("the log does not fit its newest anchor: verify it")]
    Unfit,
    /// The database; [`StoreError::NotFound`] when there is no such record.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Proves that record `seq` is in the log that the newest anchor covers.
///
/// # Errors
/// [`ProveError`].
pub async fn prove(keeper: &Keeper, seq: u64) -> Result<RecordProof, ProveError> {
    let store = keeper.store();
    let record = store.record(seq).await?.canon;
    let head = store.head().await?.map_or(0, |(_, head)| head.seq);
    let newest = store.anchor_at_or_before(head).await?;
    let covered = newest.as_ref().map_or(0, |anchor| anchor.size);
    let anchor = newest.filter(|anchor| anchor.size >= seq).ok_or(ProveError::Unanchored { seq, covered })?;
    keeper.catch_up(anchor.size).await?;
    let place = (seq - 1, anchor.size);
    let path = tree::tiles(store, anchor.size, &[place.0]).await?.inclusion(place.0, place.1);
    let leaf = chain::leaf(&record);
    let path = path.filter(|path| is_included(&leaf, place, path, &anchor.root)).ok_or(ProveError::Unfit)?;
    let checkpoint = String::from_utf8(anchor.checkpoint).map_err(|_| ProveError::Unfit)?;
    Ok(RecordProof { record, seq, path, checkpoint })
}
