//! The tree cut into tiles, as C2SP `tlog-tiles` does: a tile of level `L` holds up to 256 hashes,
//! each the root of a perfect subtree of 256^L leaves. Whoever has a few tiles has every proof.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::chain::Hash;
use super::tree::{Frontier, node};

/// Hashes of a full tile.
pub const WIDTH: u64 = 256;
/// Levels of the tree that one tile spans.
const HEIGHT: u32 = 8;
/// Levels of tiles that a tree of 2^63 leaves has.
const LEVELS: u32 = 8;

/// Names one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// 0 for leaves, 1 for roots of 256 leaves, and so on.
    pub level: u32,
    /// Its place among the tiles of its level, from 0.
    pub index: u64,
    /// Hashes in it, 1 to 256.
    pub width: u64,
}

impl TileId {
    /// Whether it can never grow.
    #[must_use]
    pub const fn is_full(self) -> bool {
        self.width == WIDTH
    }
}

/// `tile/<level>/<index>`, the index in groups of three digits, all but the last after an `x`; a
/// tile that is not full ends in `.p/<width>` (C2SP tlog-tiles).
impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups = vec![self.index % 1000];
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        write!(f, "tile/{}", self.level)?;
        for (i, group) in groups.iter().enumerate().rev() {
            write!(f, "/{}{group:03}", if i > 0 { "x" } else { "" })?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

impl TileId {
    /// The tile of that path; None when it is no path of a tile, exactly as it is written.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (rest, width) = match rest.split_once(".p/") {
            Some((rest, width)) => (rest, width.parse().ok().filter(|width| (1..WIDTH).contains(width))?),
            None => (rest, WIDTH),
        };
        let (level, index) = rest.split_once('/')?;
        let mut number = 0_u64;
        for group in index.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self { level: level.parse().ok()?, index: number, width };
        (tile.level < LEVELS && tile.to_string() == path).then_some(tile)
    }
}

/// Some tiles of one tree, and what follows from them.
#[derive(Clone, Debug, Default)]
pub struct Tiles {
    /// The widest tile known of each level and index.
    tiles: BTreeMap<(u32, u64), Vec<Hash>>,
}

impl Tiles {
    /// Adds a tile. Of two widths of one tile the wider one is kept.
    pub fn insert(&mut self, id: TileId, hashes: Vec<Hash>) {
        let kept = self.tiles.entry((id.level, id.index)).or_default();
        if hashes.len() > kept.len() {
            *kept = hashes;
        }
    }

    /// Hash number `index` of a level of tiles; of level 0 a leaf.
    #[must_use]
    pub fn hash(&self, level: u32, index: u64) -> Option<Hash> {
        let tile = self.tiles.get(&(level, index / WIDTH))?;
        tile.get(usize::try_from(index % WIDTH).ok()?).copied()
    }

    /// The root of the perfect subtree of 2^height leaves that begins at leaf `index << height`.
    #[must_use]
    pub fn subtree(&self, height: u32, index: u64) -> Option<Hash> {
        let (level, rest) = (height / HEIGHT, height % HEIGHT);
        let first = index.checked_shl(rest)?;
        let mut row: Vec<Hash> =
            (first..first + (1 << rest)).map(|at| self.hash(level, at)).collect::<Option<Vec<_>>>()?;
        while row.len() > 1 {
            row = row.chunks(2).filter_map(|pair| Some(node(pair.first()?, pair.get(1)?))).collect();
        }
        row.first().copied()
    }

    /// The right edge of the tree of `size` leaves. None when a tile is missing.
    #[must_use]
    pub fn frontier(&self, size: u64) -> Option<Frontier> {
        let roots = parts(0, size).into_iter().map(|part| self.subtree(part.height, part.index));
        Frontier::resume(size, roots.collect::<Option<_>>()?)
    }

    /// The path from leaf `index` to the root of the tree of `size` leaves (RFC 9162, section
    /// 2.1.3.1). None when a tile is missing or there is no such leaf.
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Hash>> {
        if index >= size {
            return None;
        }
        let mut path = Vec::new();
        let (mut begin, mut end) = (0, size);
        while end - begin > 1 {
            let middle = begin + split(end - begin);
            let other = if index < middle { (middle, end) } else { (begin, middle) };
            path.push(self.range(other.0, other.1)?);
            (begin, end) = if index < middle { (begin, middle) } else { (middle, end) };
        }
        path.reverse();
        Some(path)
    }

    /// The path that shows that the tree of `new` leaves begins with that of `old` (RFC 9162,
    /// section 2.1.4.1). None when a tile is missing or `old` is larger.
    #[must_use]
    pub fn consistency(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        if old > new {
            return None;
        }
        if old == 0 || old == new {
            return Some(Vec::new());
        }
        let mut path = Vec::new();
        let (mut begin, mut end, mut whole) = (0, new, true);
        while old != end {
            let middle = begin + split(end - begin);
            if old <= middle {
                path.push(self.range(middle, end)?);
                end = middle;
            } else {
                path.push(self.range(begin, middle)?);
                begin = middle;
                whole = false;
            }
        }
        if !whole {
            path.push(self.range(begin, end)?);
        }
        path.reverse();
        Some(path)
    }

    /// The root of the leaves from `begin` to before `end`, `begin` being where RFC 9162 splits.
    fn range(&self, begin: u64, end: u64) -> Option<Hash> {
        let hashes: Vec<Hash> =
            parts(begin, end).into_iter().map(|part| self.subtree(part.height, part.index)).collect::<Option<_>>()?;
        let mut hashes = hashes.into_iter().rev();
        let last = hashes.next()?;
        Some(hashes.fold(last, |right, left| node(&left, &right)))
    }
}

/// The tiles that hold everything about these places of the tree of `size` leaves: its root, the
/// inclusion of each leaf in `leaves`, the consistency with each earlier size in `leaves`.
#[must_use]
pub fn needed(size: u64, leaves: &[u64]) -> BTreeSet<TileId> {
    let mut needed = BTreeSet::new();
    for level in 0..LEVELS {
        let hashes = size >> (HEIGHT * level);
        let Some(last) = hashes.checked_sub(1) else { break };
        for at in leaves.iter().flat_map(|leaf| [leaf.saturating_sub(1), *leaf]).chain([size]) {
            let index = (at >> (HEIGHT * level)).min(last) / WIDTH;
            needed.insert(TileId { level, index, width: (hashes - index * WIDTH).min(WIDTH) });
        }
    }
    needed
}

/// A perfect subtree: 2^height leaves from leaf `index << height` on.
struct Part {
    height: u32,
    index: u64,
}

/// The perfect subtrees of the leaves from `begin` to before `end`, from left to right. `begin` must
/// be a multiple of the largest power of two below the length.
fn parts(begin: u64, end: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut at = begin;
    while at < end {
        let height = (end - at).ilog2();
        parts.push(Part { height, index: at >> height });
        at += 1 << height;
    }
    parts
}

/// The largest power of two that is smaller than `length`, which is at least 2.
fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

#[cfg(test)]
mod tests;
