//! The Merkle tree over the records (RFC 9162, section 2.1). Leaf number `i` of the tree is record
//! `i + 1` of the log; its hash is [`super::chain::leaf`].

use sha2::{Digest as _, Sha256};

use super::chain::Hash;

/// The root of the tree without leaves.
#[must_use]
pub fn empty() -> Hash {
    Sha256::new().finalize().into()
}

/// The hash of an inner node.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// The right edge of a growing tree: the roots of its perfect subtrees, largest first. Enough to add
/// leaves and to know the root, in O(log n) memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One for each bit of `size` that is set, from the highest.
    roots: Vec<Hash>,
}

impl Frontier {
    /// Goes on from a tree of `size` leaves whose perfect subtrees have these roots, largest first.
    /// None when their number does not fit the size.
    #[must_use]
    pub fn resume(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (u32::try_from(roots.len()).ok() == Some(size.count_ones())).then_some(Self { size, roots })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node(&left, &hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the tree so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return empty() };
        roots.fold(*last, |right, left| node(left, &right))
    }
}

/// Whether `path` shows that `leaf` is leaf number `index` of the tree of `size` leaves with this
/// root (RFC 9162, section 2.1.3.2).
#[must_use]
pub fn is_included(leaf: &Hash, (index, size): (u64, u64), path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` shows that the tree of `new.0` leaves with root `new.1` begins with the tree of
/// `old.0` leaves with root `old.1` (RFC 9162, section 2.1.4.2). The empty tree begins every tree.
#[must_use]
pub fn is_consistent(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 {
        return path.is_empty() && *old_root == empty();
    }
    if old_size >= new_size {
        return old_size == new_size && path.is_empty() && old_root == new_root;
    }
    let mut steps = path.iter();
    let begin = if old_size.is_power_of_two() { Some(old_root) } else { steps.next() };
    let Some(begin) = begin else { return false };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (*begin, *begin);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            before = node(step, &before);
            after = node(step, &after);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = node(&after, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && before == *old_root && after == *new_root
}
