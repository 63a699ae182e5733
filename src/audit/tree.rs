//! The tree over the records as the database holds it: tiles, roots, chain values. Whoever needs it up to a
//! size calls [`Keeper::catch_up`](super::Keeper::catch_up) first.

use crate::proof::chain::{self, Hash};
use crate::proof::tile::{TileId, Tiles, WIDTH, needed};
use crate::proof::tree::empty;
use crate::store::{Store, StoreError};

/// The tiles that hold everything about these places of the tree of `size` leaves; see [`needed`].
///
/// # Errors
/// [`StoreError::Corrupt`] when the tree is not kept that far; [`StoreError::Unavailable`].
pub async fn tiles(store: &Store, size: u64, places: &[u64]) -> Result<Tiles, StoreError> {
    let mut tiles = Tiles::default();
    for id in needed(size, places) {
        tiles.insert(id, hashes(store, id).await?);
    }
    Ok(tiles)
}

/// The bytes of one tile.
///
/// # Errors
/// As [`tiles`].
pub async fn tile(store: &Store, id: TileId) -> Result<Vec<u8>, StoreError> {
    Ok(hashes(store, id).await?.concat())
}

async fn hashes(store: &Store, id: TileId) -> Result<Vec<Hash>, StoreError> {
    let missing = || StoreError::Corrupt(format!("the tree is not kept as far as {id}"));
    let first = id.index.checked_mul(WIDTH).ok_or_else(missing)?;
    let hashes = store.nodes(id.level, first, id.width).await?;
    if u64::try_from(hashes.len()) == Ok(id.width) { Ok(hashes) } else { Err(missing()) }
}

/// The root of the tree over the first `size` records.
///
/// # Errors
/// As [`tiles`].
pub async fn root(store: &Store, size: u64) -> Result<Hash, StoreError> {
    if size == 0 {
        return Ok(empty());
    }
    let missing = || StoreError::Corrupt(format!("the tree of {size} records is not kept"));
    Ok(tiles(store, size, &[]).await?.frontier(size).ok_or_else(missing)?.root())
}

/// The chain value after record `size`; before the first record the one that names the log.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such record, or no log; [`StoreError::Corrupt`] when it is no hash;
/// [`StoreError::Unavailable`].
pub async fn chain_at(store: &Store, size: u64) -> Result<Hash, StoreError> {
    if size > 0 {
        return store.chain_at(size).await;
    }
    let (origin, _) = store.head().await?.ok_or(StoreError::NotFound)?;
    Ok(chain::genesis(&origin))
}
