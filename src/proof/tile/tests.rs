//! Proofs from tiles against the definitions of RFC 9162, written out naively.

use proptest::prelude::*;

use super::{TileId, Tiles, WIDTH, needed, split};
use crate::proof::chain::{Hash, leaf};
use crate::proof::tree::{Frontier, empty, is_consistent, is_included, node};

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|i| leaf(&i.to_be_bytes())).collect()
}

/// MTH of RFC 9162, section 2.1.1.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(usize::try_from(split(many.len() as u64)).unwrap());
            node(&root(left), &root(right))
        }
    }
}

/// Level by level, as they are stored.
fn tiles(leaves: &[Hash]) -> Tiles {
    let mut tiles = Tiles::default();
    let (mut level, mut row) = (0, leaves.to_vec());
    while !row.is_empty() {
        for (index, hashes) in (0..).zip(row.chunks(256)) {
            tiles.insert(TileId { level, index, width: hashes.len() as u64 }, hashes.to_vec());
        }
        row = row.chunks_exact(256).map(root).collect();
        level += 1;
    }
    tiles
}

/// Only the tiles that are said to be needed.
fn only(all: &Tiles, size: u64, places: &[u64]) -> Tiles {
    let mut some = Tiles::default();
    for id in needed(size, places) {
        let hashes: Vec<Hash> =
            (0..id.width).map(|i| all.hash(id.level, id.index * WIDTH + i).expect("a hash of the tile")).collect();
        some.insert(id, hashes);
    }
    some
}

#[test]
fn root_of_every_small_tree() {
    let leaves = leaves(700);
    let tiles = tiles(&leaves);
    let mut grown = Frontier::default();
    for size in 0..=700 {
        let begun = &leaves[..size];
        assert_eq!(grown.root(), root(begun), "grown to {size}");
        let frontier = only(&tiles, size as u64, &[]).frontier(size as u64).expect("all tiles");
        assert_eq!(frontier, grown, "from tiles at {size}");
        if let Some(next) = leaves.get(size) {
            grown.push(*next);
        }
    }
}

#[test]
fn known_root() {
    // Of the leaves "", 0x00, 0x10: the test vectors of certificate-transparency-go.
    let mut frontier = Frontier::default();
    for bytes in [&b""[..], &[0x00], &[0x10]] {
        frontier.push(leaf(bytes));
    }
    assert_eq!(hex::encode(frontier.root()), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
}

#[test]
fn paths_of_tiles() {
    let cases = [
        (TileId { level: 0, index: 0, width: 256 }, "tile/0/000"),
        (TileId { level: 0, index: 5, width: 3 }, "tile/0/005.p/3"),
        (TileId { level: 1, index: 1_234_067, width: 256 }, "tile/1/x001/x234/067"),
        (TileId { level: 2, index: 1000, width: 255 }, "tile/2/x001/000.p/255"),
    ];
    for (id, path) in cases {
        assert_eq!(id.to_string(), path);
        assert_eq!(TileId::parse(path), Some(id), "{path}");
    }
    let wrong = [
        "tile/0/0",
        "tile/0/x000/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/9/000",
        "tile/00/000",
        "tile/0/+01",
    ];
    for path in wrong {
        assert_eq!(TileId::parse(path), None, "{path}");
    }
}

proptest! {
    #[test]
    fn inclusion_and_consistency(size in 1_u64..4_000, index in 0_u64..4_000, old in 0_u64..4_000) {
        let (index, old) = (index % size, old % (size + 1));
        let leaves = leaves(size);
        let all = tiles(&leaves);
        let tiles = only(&all, size, &[index, old]);
        let root_now = root(&leaves);
        let path = tiles.inclusion(index, size).expect("tiles of the leaf");
        let leaf = &leaves[usize::try_from(index).unwrap()];
        prop_assert!(is_included(leaf, (index, size), &path, &root_now));
        prop_assert!(!is_included(leaf, (index ^ 1, size), &path, &root_now) || size == 1);
        let root_then = root(&leaves[..usize::try_from(old).unwrap()]);
        let path = tiles.consistency(old, size).expect("tiles of the edge");
        prop_assert!(is_consistent((old, &root_then), (size, &root_now), &path));
        if old > 0 && old < size {
            prop_assert!(!is_consistent((old, &root_now), (size, &root_now), &path));
            prop_assert!(!is_consistent((old, &root_then), (size, &root_then), &path));
        }
    }
}
