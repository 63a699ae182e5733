//! The tiles of the tree beside the anchors: each full one once, and the partial ones of each
//! checkpoint, so that whoever has the bucket can prove every record of the newest checkpoint.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use time::OffsetDateTime;

use super::found::Shelf;
use super::objects::Put;
use super::{AnchorError, Fault};
use crate::audit::tree;
use crate::proof::anchor::ObjectKey;
use crate::proof::tile::{TileId, WIDTH};
use crate::store::Store;

/// Levels of tiles that a tree of 2^63 leaves has.
const LEVELS: u32 = 8;
/// Bits of a place that one level takes.
const HEIGHT: u32 = 8;
/// Tiles that are under way at the same time.
const AT_ONCE: usize = 16;

/// The tiles of the tree of `new` leaves that the tree of `old` leaves does not have.
fn added(old: u64, new: u64) -> impl Iterator<Item = TileId> {
    (0..LEVELS).flat_map(move |level| {
        let (before, hashes) = (old >> (HEIGHT * level), new >> (HEIGHT * level));
        let full = (before / WIDTH..hashes / WIDTH).map(move |index| TileId { level, index, width: WIDTH });
        let rest = TileId { level, index: hashes / WIDTH, width: hashes % WIDTH };
        full.chain((rest.width > 0 && hashes > before).then_some(rest))
    })
}

/// Puts what the tree of `new` records has and that of `old` records has not.
pub(super) async fn put(
    shelf: &Shelf<'_>,
    store: &Store,
    (old, new): (u64, u64),
    now: OffsetDateTime,
) -> Result<(), AnchorError> {
    let puts = stream::iter(added(old, new)).map(|tile| put_one(shelf, store, tile, now));
    puts.buffer_unordered(AT_ONCE).try_collect::<()>().await
}

async fn put_one(shelf: &Shelf<'_>, store: &Store, tile: TileId, now: OffsetDateTime) -> Result<(), AnchorError> {
    let bytes = Bytes::from(tree::tile(store, tile).await?);
    let key = ObjectKey::Tile(tile);
    let path = key.path(&shelf.origin);
    if shelf.objects.put_new(&path, bytes.clone(), now).await? == Put::Done {
        return Ok(());
    }
    // Of an anchor that was interrupted, or of a try whose answer was lost.
    match shelf.objects.get(&path).await? {
        Some(there) if there == bytes => Ok(()),
        Some(_) => Err(shelf.wrong(key, "another tile than that of this log").into()),
        None => Err(Fault::Missing { key: path }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::added;

    fn names(old: u64, new: u64) -> Vec<String> {
        added(old, new).map(|tile| tile.to_string()).collect()
    }

    #[test]
    fn only_what_is_new() {
        let none: [&str; 0] = [];
        assert_eq!(names(0, 0), none);
        assert_eq!(names(0, 1), ["tile/0/000.p/1"]);
        assert_eq!(names(1, 1), none, "nothing was added");
        assert_eq!(names(1, 255), ["tile/0/000.p/255"]);
        assert_eq!(names(255, 256), ["tile/0/000", "tile/1/000.p/1"]);
        assert_eq!(names(256, 257), ["tile/0/001.p/1"], "level 1 is as it was");
        assert_eq!(names(256, 800), ["tile/0/001", "tile/0/002", "tile/0/003.p/32", "tile/1/000.p/3"]);
        assert_eq!(names(65_535, 65_536), ["tile/0/255", "tile/1/000", "tile/2/000.p/1"]);
    }

    /// Whatever was anchored in between, the newest checkpoint has all that it needs.
    #[test]
    fn steps_add_up() {
        let mut there = std::collections::BTreeSet::new();
        let mut old = 0;
        for new in [1, 3, 255, 300, 300, 512, 66_000, 70_000] {
            there.extend(names(old, new));
            for wanted in crate::proof::tile::needed(new, &[0, old, new / 2]) {
                assert!(there.contains(&wanted.to_string()), "{wanted} of {new}");
            }
            old = new;
        }
    }
}
