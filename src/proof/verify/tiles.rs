//! The tiles of the evidence: whether they are those of the tree that is signed, and then what hash
//! each record must have.

use rayon::prelude::*;

use super::Evidence;
use super::anchors::Run;
use crate::proof::chain::Hash;
use crate::proof::tile::{TileId, Tiles, WIDTH};
use crate::proof::tree::{Frontier, node};

/// Levels of tiles that a tree of 2^63 leaves has.
const LEVELS: u32 = 8;
/// Tiles that are folded at a time.
const PAGE: u64 = 256;

/// What the tiles came to.
pub(super) enum Checked {
    /// There is no good anchor to check them with.
    Unused,
    /// They do not give the root; why.
    Bad(String),
    /// They do.
    Good(Leaves),
}

/// Tiles that give a signed root.
#[derive(Debug)]
pub(super) struct Leaves {
    /// Leaves of the tree.
    pub(super) size: u64,
    pub(super) root: Hash,
    /// The right edge of the tree before the range.
    pub(super) base: Option<Frontier>,
    /// The tile of level 0 that was read last.
    current: Option<(u64, Vec<Hash>)>,
}

impl Leaves {
    /// The leaf of record `seq`; None beyond the tree.
    pub(super) fn leaf<E: Evidence>(&mut self, seq: u64, evidence: &mut E) -> Result<Option<Hash>, E::Error> {
        let Some(at) = seq.checked_sub(1).filter(|at| *at < self.size) else { return Ok(None) };
        let index = at / WIDTH;
        if self.current.as_ref().is_none_or(|(current, _)| *current != index) {
            let bytes = evidence.tile(0, index)?.unwrap_or_default();
            self.current = Some((index, hashes(&bytes).unwrap_or_default()));
        }
        let place = usize::try_from(at % WIDTH).unwrap_or(usize::MAX);
        Ok(self.current.as_ref().and_then(|(_, hashes)| hashes.get(place)).copied())
    }
}

/// Checks the tiles against the last good anchor that they reach, for records `first` to `last`.
pub(super) fn check<E: Evidence>(
    evidence: &mut E,
    runs: &[Run],
    (first, last): (u64, u64),
) -> Result<Checked, E::Error> {
    let is_bucket = evidence.claim().is_bucket;
    let reach = if is_bucket { evidence.tree_size()? } else { u64::MAX };
    if runs.is_empty() {
        return Ok(Checked::Unused);
    }
    let Some(run) = runs.iter().rev().find(|run| run.size <= reach) else {
        return Ok(Checked::Bad("they reach no good anchor".to_owned()));
    };
    if run.size < first - 1 {
        return Ok(Checked::Bad(format!("they reach {} records, not the begin of the range", run.size)));
    }
    let mut check = Check { evidence, size: run.size, first, last: last.min(run.size), tiles: Tiles::default() };
    if let Some(problem) = check.upper()? {
        return Ok(Checked::Bad(problem));
    }
    let root = check.tiles.frontier(run.size).map(|frontier| frontier.root());
    if root != Some(run.root) {
        let detail = format!("they do not give the root of anchor {} ({} records)", run.last, run.size);
        return Ok(Checked::Bad(detail));
    }
    if let Some(problem) = check.lower()? {
        return Ok(Checked::Bad(problem));
    }
    let base = check.tiles.frontier(first - 1).filter(|_| first - 1 <= run.size);
    Ok(Checked::Good(Leaves { size: run.size, root: run.root, base, current: None }))
}

struct Check<'a, E> {
    evidence: &'a mut E,
    size: u64,
    first: u64,
    last: u64,
    /// All levels but the lowest, and of that the tiles at both ends.
    tiles: Tiles,
}

impl<E: Evidence> Check<'_, E> {
    /// Hashes of a level.
    fn hashes(&self, level: u32) -> u64 {
        self.size >> (8 * level)
    }

    /// Indices of the tiles of a level that overlap the range; empty when none does.
    fn overlapping(&self, level: u32) -> std::ops::Range<u64> {
        let hashes = self.hashes(level);
        let begin = (self.first - 1) >> (8 * level);
        if self.last < self.first || begin >= hashes {
            return 0..0;
        }
        let end = ((self.last - 1) >> (8 * level)).min(hashes - 1);
        begin / WIDTH..end / WIDTH + 1
    }

    /// Reads a tile as the tree of that size has it, or says what is wrong with it.
    fn read(&mut self, level: u32, index: u64) -> Result<Result<Vec<Hash>, String>, E::Error> {
        let width = self.hashes(level).saturating_sub(index * WIDTH).min(WIDTH);
        let Some(bytes) = self.evidence.tile(level, index)? else {
            return Ok(Err(format!("{} is missing", TileId { level, index, width })));
        };
        let read = hashes(&bytes).filter(|hashes| u64::try_from(hashes.len()).is_ok_and(|count| count >= width));
        Ok(read.ok_or_else(|| format!("{} is no tile of {width} hashes", TileId { level, index, width })))
    }

    /// Reads the levels above the leaves, and of these the tiles at both ends.
    fn upper(&mut self) -> Result<Option<String>, E::Error> {
        for level in 0..LEVELS {
            let Some(last) = self.hashes(level).checked_sub(1) else { break };
            let mut wanted: Vec<u64> = self.overlapping(level).collect();
            if level == 0 {
                wanted = wanted.first().copied().into_iter().collect();
            }
            if wanted.last() != Some(&(last / WIDTH)) {
                wanted.push(last / WIDTH);
            }
            for index in wanted {
                match self.read(level, index)? {
                    Ok(hashes) => {
                        let width = u64::try_from(hashes.len()).unwrap_or_default();
                        self.tiles.insert(TileId { level, index, width }, hashes);
                    }
                    Err(problem) => return Ok(Some(problem)),
                }
            }
        }
        Ok(None)
    }

    /// Folds each full tile that overlaps the range and compares it with the level above.
    fn lower(&mut self) -> Result<Option<String>, E::Error> {
        for level in (0..LEVELS).rev() {
            let full = self.hashes(level) / WIDTH;
            let range = self.overlapping(level);
            let mut begin = range.start;
            while begin < range.end.min(full) {
                let end = (begin + PAGE).min(range.end).min(full);
                if let Some(problem) = self.fold(level, begin..end)? {
                    return Ok(Some(problem));
                }
                begin = end;
            }
        }
        Ok(None)
    }

    fn fold(&mut self, level: u32, range: std::ops::Range<u64>) -> Result<Option<String>, E::Error> {
        let mut tiles = Vec::new();
        for index in range {
            match self.read(level, index)? {
                Ok(hashes) => tiles.push((index, hashes)),
                Err(problem) => return Ok(Some(problem)),
            }
        }
        let above = &self.tiles;
        let wrong = tiles.into_par_iter().find_map_first(|(index, row)| {
            (above.hash(level + 1, index) != fold(row)).then_some(TileId { level, index, width: WIDTH })
        });
        Ok(wrong.map(|tile| {
            let records = 1_u64.checked_shl(8 * (tile.level + 1)).unwrap_or(u64::MAX);
            let from = tile.index.saturating_mul(records);
            format!(
                "{tile} (records {} to {}) does not fold to its hash in the level above",
                from + 1,
                from.saturating_add(records)
            )
        }))
    }
}

/// The root of a full tile.
fn fold(mut row: Vec<Hash>) -> Option<Hash> {
    while row.len() > 1 {
        row = row.chunks(2).filter_map(|pair| Some(node(pair.first()?, pair.get(1)?))).collect();
    }
    row.first().copied()
}

/// The hashes of a tile; None when the bytes are no tile.
fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && !hashes.is_empty() && hashes.len() <= 256).then(|| hashes.to_vec())
}
