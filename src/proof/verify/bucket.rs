//! Which anchors a bucket holds, by the keys of its objects.

use std::collections::BTreeMap;

use super::{Code, Finding};
use crate::proof::anchor::{ObjectKey, epoch_origin};

/// Which of an anchor's notes are there.
#[derive(Clone, Copy, Debug, Default)]
struct Notes {
    checkpoint: bool,
    meta: bool,
}

/// The anchors of a bucket.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// Epoch and number of each that is there whole, in order.
    pub anchors: Vec<(u64, u64)>,
    /// What is wrong with the others.
    pub findings: Vec<Finding>,
}

impl Shelf {
    /// Sorts the keys of objects, each with its epoch. An anchor is there when both of its notes are; the last
    /// one may have its metadata alone, when it was interrupted.
    #[must_use]
    pub fn of(keys: impl IntoIterator<Item = (u64, ObjectKey)>) -> Self {
        let mut found: BTreeMap<(u64, u64), Notes> = BTreeMap::new();
        for (epoch, key) in keys {
            match key {
                ObjectKey::Checkpoint(number) => found.entry((epoch, number)).or_default().checkpoint = true,
                ObjectKey::Meta(number) => found.entry((epoch, number)).or_default().meta = true,
                ObjectKey::Tile(_) => {}
            }
        }
        let mut shelf = Self::default();
        let mut highest: BTreeMap<u64, u64> = BTreeMap::new();
        found.keys().for_each(|(epoch, number)| {
            highest.insert(*epoch, *number);
        });
        for ((epoch, number), notes) in found {
            if notes.checkpoint && notes.meta {
                shelf.anchors.push((epoch, number));
            } else if notes.checkpoint && highest.get(&epoch) == Some(&number) {
                // Others leave a hole between two, which is found by itself.
                let detail = format!("anchor {number} of epoch {epoch} lacks its metadata");
                shelf.findings.push(Finding::anchor(Code::Gap, epoch, number, detail));
            }
        }
        shelf
    }
}

/// The epoch of an object of that log and what it is, by its key.
#[must_use]
pub fn parse_key(origin: &str, key: &str) -> Option<(u64, ObjectKey)> {
    let digits = key.strip_prefix(&format!("v1/{origin}/epoch-")).and_then(|rest| rest.split('/').next());
    let epoch = digits.and_then(|digits| digits.parse().ok().filter(|epoch: &u64| *epoch > 1)).unwrap_or(1);
    Some((epoch, ObjectKey::parse(&epoch_origin(origin, epoch), key)?))
}

#[cfg(test)]
mod tests {
    use super::{ObjectKey, Shelf, parse_key};
    use crate::proof::verify::Code;

    #[test]
    fn an_anchor_is_there_with_both_notes() {
        let (checkpoint, meta) = (ObjectKey::Checkpoint, ObjectKey::Meta);
        let both = |number| [(1, checkpoint(number)), (1, meta(number))];
        let keys = [both(1), both(2), both(4)].concat();
        let shelf = Shelf::of(keys.iter().copied().chain([(1, meta(3)), (1, meta(5)), (2, checkpoint(1))]));
        assert_eq!(shelf.anchors, [(1, 1), (1, 2), (1, 4)]);
        let found: Vec<_> = shelf.findings.iter().map(|found| (found.code, found.epoch, found.anchor)).collect();
        assert_eq!(found, [(Code::Gap, Some(2), Some(1))]);
    }

    #[test]
    fn keys_of_epochs() {
        let key = |key| parse_key("log/a", key);
        assert_eq!(key("v1/log/a/meta/000000000007"), Some((1, ObjectKey::Meta(7))));
        assert_eq!(key("v1/log/a/epoch-3/meta/000000000007"), Some((3, ObjectKey::Meta(7))));
        for other in ["v1/log/b/meta/000000000007", "v1/log/a/epoch-1/meta/000000000007", "v1/log/a/x", ""] {
            assert_eq!(key(other), None, "{other}");
        }
    }
}
