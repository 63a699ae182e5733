//! Intents and their outcomes, and which records are lost.

use std::collections::{BTreeMap, BTreeSet};

use crate::proof::moment::Moment;

/// Records that are missing or cannot be read, as runs in order: nothing is concluded from what they
/// might have said.
#[derive(Debug, Default)]
pub(super) struct Lost(Vec<(u64, u64)>);

impl Lost {
    pub(super) fn add(&mut self, first: u64, last: u64) {
        match self.0.last_mut() {
            Some(run) if run.1 + 1 >= first => run.1 = run.1.max(last),
            Some(_) | None => self.0.push((first, last)),
        }
    }

    pub(super) fn contains(&self, seq: u64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < seq);
        self.0.get(at).is_some_and(|(first, _)| *first <= seq)
    }
}

/// Intents that wait for an outcome.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    /// Open intents and when they began.
    pub(super) open: BTreeMap<u64, Moment>,
    /// Intents whose process was taken for dead; their true outcome may still follow.
    pub(super) unknown: BTreeSet<u64>,
}

impl Pairs {
    /// Whether an outcome of `intent` fits.
    pub(super) fn end(&mut self, intent: u64, is_unknown: bool) -> bool {
        if self.open.remove(&intent).is_some() {
            if is_unknown {
                self.unknown.insert(intent);
            }
            return true;
        }
        self.unknown.remove(&intent)
    }
}
