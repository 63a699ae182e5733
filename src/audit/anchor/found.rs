//! What is in the store of the anchors: read back before anything is signed, believed in nothing.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::objects::Objects;
use super::{AnchorError, Fault};
use crate::proof::anchor::{Checkpoint, Meta, ObjectKey, epoch_origin};
use crate::proof::key::PublicKey;
use crate::proof::note::Note;
use crate::proof::trust::AnchorStore;
use crate::store::{AnchorRow, Store};

/// Anchors that are read at the same time.
const AT_ONCE: usize = 16;

/// An anchor that is there, well-formed; its signatures are verified by whoever needs them.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The note of the checkpoint.
    pub(super) checkpoint: Bytes,
    /// The note of the metadata.
    pub(super) note: Bytes,
    /// What the metadata says.
    pub(super) meta: Meta,
}

impl Found {
    pub(super) fn row(&self) -> AnchorRow {
        AnchorRow {
            epoch: self.meta.epoch,
            number: self.meta.anchor,
            size: self.meta.size,
            root: self.meta.root,
            chain: self.meta.chain,
            checkpoint: self.checkpoint.to_vec(),
            meta: self.note.to_vec(),
            made_at: self.meta.made_at.clone(),
            next_due: self.meta.next_due.clone(),
            development: self.meta.development,
        }
    }

    /// Whether both notes are signed by that key.
    pub(super) fn is_signed_by(&self, key: &PublicKey) -> bool {
        let signed = |bytes: &[u8]| Note::parse(bytes).is_ok_and(|note| note.is_signed_by(&self.meta.origin, key));
        signed(&self.checkpoint) && signed(&self.note)
    }
}

/// Metadata whose checkpoint is not there: an anchor that was interrupted.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) note: Bytes,
    pub(super) meta: Meta,
}

/// The end of an epoch.
#[derive(Clone, Debug, Default)]
pub(super) struct Last {
    pub(super) whole: Option<Found>,
    pub(super) unfinished: Option<Unfinished>,
}

/// The anchors of one epoch.
#[derive(Clone, Debug)]
pub(super) struct Shelf<'a> {
    pub(super) objects: &'a Objects,
    /// The name of the epoch.
    pub(super) origin: String,
    pub(super) epoch: u64,
}

impl<'a> Shelf<'a> {
    /// The anchors of that epoch of the log.
    pub(super) fn new(objects: &'a Objects, origin: &str, epoch: u64) -> Self {
        Self { objects, origin: epoch_origin(origin, epoch), epoch }
    }

    /// Whether there is an anchor, or the beginning of one.
    pub(super) async fn is_begun(&self) -> Result<bool, AnchorError> {
        Ok(self.objects.get(&ObjectKey::Meta(1).path(&self.origin)).await?.is_some())
    }

    /// The last anchor, and one that was interrupted. `known` is the number of one that was there.
    pub(super) async fn last(&self, known: u64) -> Result<Last, AnchorError> {
        let numbers = self.numbers("checkpoint", ObjectKey::Checkpoint, known).await?;
        let first = known.max(1);
        let last = numbers.last().copied().unwrap_or_default().max(known);
        if let Some(gap) = (first..=last).find(|number| !numbers.contains(number)) {
            return Err(self.missing(ObjectKey::Checkpoint(gap)).into());
        }
        let noted = self.numbers("meta", ObjectKey::Meta, last).await?;
        if noted.last().is_some_and(|newest| *newest > last + 1) {
            return Err(self.missing(ObjectKey::Checkpoint(last + 1)).into());
        }
        let whole = if last > 0 { Some(self.get(last).await?) } else { None };
        let unfinished = if noted.contains(&(last + 1)) { Some(self.unfinished(last + 1).await?) } else { None };
        Ok(Last { whole, unfinished })
    }

    /// The numbers from `from` on.
    async fn numbers(&self, kind: &str, key: fn(u64) -> ObjectKey, from: u64) -> Result<BTreeSet<u64>, AnchorError> {
        let after = (from > 1).then(|| key(from - 1).path(&self.origin));
        let keys = self.objects.list(&format!("v1/{}/{kind}/", self.origin), after.as_deref()).await?;
        let parsed = keys.iter().filter_map(|key| ObjectKey::parse(&self.origin, key));
        let numbers = parsed.filter_map(|key| match key {
            ObjectKey::Checkpoint(number) | ObjectKey::Meta(number) => Some(number),
            ObjectKey::Tile(_) => None,
        });
        Ok(numbers.filter(|number| *number >= from).collect())
    }

    fn missing(&self, key: ObjectKey) -> Fault {
        Fault::Missing { key: key.path(&self.origin) }
    }

    pub(super) fn wrong(&self, key: ObjectKey, what: &'static str) -> Fault {
        Fault::Object { key: key.path(&self.origin), what }
    }

    /// The anchor of that number, which must be there.
    pub(super) async fn get(&self, number: u64) -> Result<Found, AnchorError> {
        let key = ObjectKey::Checkpoint(number);
        let checkpoint = self.objects.get(&key.path(&self.origin)).await?.ok_or_else(|| self.missing(key))?;
        let Unfinished { note, meta } = self.unfinished(number).await?;
        let text = Note::parse(&checkpoint).map_err(|_| self.wrong(key, "no signed note"))?.text;
        if Checkpoint::parse(&text) != Some(meta.checkpoint()) {
            return Err(self.wrong(key, "not what its metadata says").into());
        }
        Ok(Found { checkpoint, note, meta })
    }

    /// Notes in the database what it lacks up to that anchor, `known` being the last one that it has.
    pub(super) async fn note_rows(&self, store: &Store, known: u64, last: &Found) -> Result<(), AnchorError> {
        let missing = stream::iter(known + 1..last.meta.anchor).map(|number| self.get(number));
        let mut missing = std::pin::pin!(missing.buffered(AT_ONCE));
        while let Some(found) = missing.next().await {
            store.anchor_add(&found?.row()).await?;
        }
        Ok(store.anchor_add(&last.row()).await?)
    }

    async fn unfinished(&self, number: u64) -> Result<Unfinished, AnchorError> {
        let key = ObjectKey::Meta(number);
        let note = self.objects.get(&key.path(&self.origin)).await?.ok_or_else(|| self.missing(key))?;
        let parsed = Note::parse(&note).ok().and_then(|note| Meta::parse(&note.text));
        let meta = parsed.ok_or_else(|| self.wrong(key, "no metadata of an anchor"))?;
        if (meta.anchor, meta.epoch, meta.origin.as_str()) != (number, self.epoch, self.origin.as_str()) {
            return Err(self.wrong(key, "the metadata of another anchor").into());
        }
        if !is_of(&meta, &self.objects.store()) {
            return Err(self.wrong(key, "of an anchor in another store").into());
        }
        Ok(Unfinished { note, meta })
    }
}

/// Whether an anchor was put in that store. The account may have been named only later.
fn is_of(meta: &Meta, store: &AnchorStore) -> bool {
    match store {
        AnchorStore::S3 { bucket, region, account } => {
            let owner = meta.account.as_ref().is_none_or(|owner| account.is_empty() || owner == account);
            meta.bucket == *bucket && meta.region.as_ref() == Some(region) && owner
        }
        AnchorStore::File { path } => meta.bucket == *path && meta.region.is_none() && meta.account.is_none(),
    }
}
