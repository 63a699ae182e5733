//! The log as the database holds it, compared with what was anchored.

use super::found::{Found, Shelf};
use super::objects::Objects;
use super::{AnchorError, Behind};
use crate::audit::{Keeper, tree};
use crate::proof::anchor::Meta;
use crate::proof::chain::Hash;
use crate::proof::tree::is_consistent;
use crate::store::{Store, StoreError};

/// The log at one moment.
#[derive(Clone, Debug)]
pub(super) struct Log {
    keeper: Keeper,
    /// Its name.
    pub(super) origin: String,
    /// The epoch that it is in.
    pub(super) epoch: u64,
    /// Its last record.
    pub(super) size: u64,
}

/// Root and chain value of the log at its size.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) root: Hash,
    pub(super) chain: Hash,
}

impl Log {
    /// The log as it is now; none when it has not begun.
    pub(super) async fn read(keeper: &Keeper) -> Result<Option<Self>, StoreError> {
        let Some((origin, head)) = keeper.store().head().await? else { return Ok(None) };
        let epoch = keeper.store().epochs().await?.last().map_or(1, |epoch| epoch.number);
        Ok(Some(Self { keeper: keeper.clone(), origin, epoch, size: head.seq }))
    }

    /// A log without records.
    pub(super) fn empty(keeper: &Keeper, origin: &str) -> Self {
        Self { keeper: keeper.clone(), origin: origin.to_owned(), epoch: 1, size: 0 }
    }

    pub(super) const fn store(&self) -> &Store {
        self.keeper.store()
    }

    /// What is to be signed for the first `size` records, once it is shown that these begin with what
    /// `before` covers: the consistency proof is verified, not assumed. None when they do not.
    pub(super) async fn extends(&self, before: Option<&Meta>, size: u64) -> Result<Option<State>, StoreError> {
        let store = self.store();
        let old = before.map_or(0, |meta| meta.size);
        if old > size {
            return Ok(None);
        }
        self.keeper.catch_up(size).await?;
        let missing = || StoreError::Corrupt(format!("the tree of {size} records is not kept"));
        let tiles = tree::tiles(store, size, &[old]).await?;
        let state =
            State { root: tiles.frontier(size).ok_or_else(missing)?.root(), chain: tree::chain_at(store, size).await? };
        let Some(before) = before else { return Ok(Some(state)) };
        let path = tiles.consistency(old, size).ok_or_else(missing)?;
        let extends = is_consistent((old, &before.root), (size, &state.root), &path)
            && tree::chain_at(store, old).await? == before.chain;
        Ok(extends.then_some(state))
    }

    /// Whether the database holds what that anchor covers.
    pub(super) async fn holds(&self, meta: &Meta) -> Result<bool, StoreError> {
        if meta.size > self.size {
            return Ok(false);
        }
        let state = self.extends(None, meta.size).await?;
        Ok(state.is_some_and(|state| state.root == meta.root && state.chain == meta.chain))
    }

    /// How far behind an anchor the database is. `whole` is the last one that is complete.
    pub(super) async fn behind(
        &self,
        objects: &Objects,
        about: &Meta,
        whole: Option<&Meta>,
    ) -> Result<Behind, AnchorError> {
        let kept = match whole {
            Some(whole) => self.kept(objects, whole).await?,
            None => None,
        };
        let (epoch, anchor, size, records) = (about.epoch, about.anchor, about.size, self.size);
        Ok(Behind { epoch, anchor, size, records, kept: kept.map_or(0, |found| found.meta.size) })
    }

    /// The last anchor that the database holds. Anchors extend one another, so halving finds it.
    pub(super) async fn kept(&self, objects: &Objects, last: &Meta) -> Result<Option<Found>, AnchorError> {
        for epoch in (1..=last.epoch).rev() {
            let shelf = Shelf::new(objects, &self.origin, epoch);
            let end = if epoch == last.epoch { last.anchor } else { newest(&shelf).await? };
            // What is at `good` fits, what is above `bad` does not.
            let (mut good, mut bad, mut found) = (0, end + 1, None);
            while bad - good > 1 {
                let middle = good + (bad - good) / 2;
                let candidate = shelf.get(middle).await?;
                if self.holds(&candidate.meta).await? {
                    (good, found) = (middle, Some(candidate));
                } else {
                    bad = middle;
                }
            }
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

async fn newest(shelf: &Shelf<'_>) -> Result<u64, AnchorError> {
    Ok(shelf.last(0).await?.whole.map_or(0, |found| found.meta.anchor))
}
