//! One anchor: read the last one back, show that the log extends it, put tiles, metadata, checkpoint,
//! and read those back. Whatever ends it on the way, the next one completes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use time::OffsetDateTime;
use tokio::sync::watch;

use super::aws::Aws;
use super::found::{Found, Last, Shelf, Unfinished};
use super::log::Log;
use super::objects::Put;
use super::session::{Session, signed};
use super::signer::Signer;
use super::status::AnchorStatus;
use super::{AnchorError, Fault, tiles};
use crate::audit::record::timestamp;
use crate::audit::{Event, EventKind, Keeper, Writer};
use crate::clock::Clock;
use crate::config::AnchorSettings;
use crate::proof::anchor::{AnchorReason, Meta, ObjectKey};
use crate::proof::chain::Hash;
use crate::proof::note::Note;
use crate::proof::trust::AnchorStore;
use crate::store::{AnchorRow, Store};

/// The turn of whoever makes an anchor.
const TURN: &str = "anchor";
/// How often an anchor is begun anew because another process was quicker.
const RACES: usize = 3;
/// How far apart the clocks of this machine and of the bucket may be, in seconds.
const SKEW: i64 = 300;

/// What an anchorer is made of.
pub struct AnchorParts {
    /// Where, and who signs.
    pub settings: AnchorSettings,
    /// The way there.
    pub aws: Aws,
    /// The log.
    pub keeper: Keeper,
    /// The time.
    pub clock: Clock,
    /// Where faults and changes of the key are recorded.
    pub writer: Writer,
    /// Digest of the policy bundle in force, when it is known.
    pub bundle: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// Makes anchors. Cheap to clone.
#[derive(Clone)]
pub struct Anchorer {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) parts: AnchorParts,
    /// Opened at the first anchor, and again after a failure.
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    pub(super) status: watch::Sender<AnchorStatus>,
    /// The key that a record of this process says is handed over to.
    told: Mutex<Option<Hash>>,
}

impl Anchorer {
    /// An anchorer; nothing is opened before the first anchor.
    #[must_use]
    pub fn new(parts: AnchorParts) -> Self {
        let (status, _) = watch::channel(AnchorStatus::default());
        let inner = Inner { parts, session: tokio::sync::Mutex::default(), status, told: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// How it is, as it changes.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<AnchorStatus> {
        self.inner.status.subscribe()
    }

    /// Makes an anchor of all records that are there, after completing one that was interrupted.
    /// May be broken off at any time.
    ///
    /// # Errors
    /// See [`AnchorError`]. A fault is recorded, once, as `anchor:fault`.
    pub async fn anchor(&self, reason: AnchorReason) -> Result<AnchorRow, AnchorError> {
        let begun = Instant::now();
        let done = self.take_turn(reason).await;
        let has_made = done.as_ref().is_ok_and(|(_, has_made)| *has_made);
        let done = done.map(|(row, _)| row);
        match &done {
            Ok(_) if !has_made => {}
            Ok(_) => {
                metrics::counter!("audit_anchors_total").increment(1);
                metrics::histogram!("audit_anchor_seconds").record(begun.elapsed().as_secs_f64());
            }
            Err(AnchorError::Busy) => {}
            Err(_) => metrics::counter!("audit_anchor_failures_total").increment(1),
        }
        self.note(&done).await;
        if done.is_err() {
            // Credentials, keys or addresses may have changed.
            *self.inner.session.lock().await = None;
        }
        done
    }

    async fn take_turn(&self, reason: AnchorReason) -> Result<(AnchorRow, bool), AnchorError> {
        let turn = self.store().turn(TURN).await?.ok_or(AnchorError::Busy)?;
        let done = self.in_turn(reason).await;
        turn.end().await;
        done
    }

    /// The anchor, and whether it was made now.
    async fn in_turn(&self, reason: AnchorReason) -> Result<(AnchorRow, bool), AnchorError> {
        let store = self.store();
        // Another replica may have made it while this one waited.
        if matches!(reason, AnchorReason::Interval | AnchorReason::Count)
            && self.due().await?.is_none()
            && let Some(row) = store.anchor_last().await?
        {
            return Ok((row, false));
        }
        let session = self.session().await?;
        for _ in 0..RACES {
            if let Some(found) = self.once(&session, reason).await? {
                return Ok((found.row(), true));
            }
        }
        Err(AnchorError::Busy)
    }

    /// One try; none when another process put something under our number meanwhile.
    async fn once(&self, session: &Session, reason: AnchorReason) -> Result<Option<Found>, AnchorError> {
        let log = Log::read(&self.inner.parts.keeper).await?.ok_or(AnchorError::NotBegun)?;
        let shelf = Shelf::new(&session.objects, &log.origin, log.epoch);
        let last = self.read_back(&shelf, &log).await?;
        let before = match &last.whole {
            Some(found) => Some(found.clone()),
            None if log.epoch > 1 => before_epoch(session, &log).await?,
            None => None,
        };
        let mut key = &session.key;
        if let Some(before) = &before {
            key = session.in_force(before)?;
            self.check(session, before)?;
        }
        let Some(unfinished) = last.unfinished else {
            return self.make(session, &log, (&shelf, last.whole), (key, before.is_some()), reason).await;
        };
        let Some(whole) = self.finish(session, &log, &shelf, (&last.whole, &unfinished), key).await? else {
            return Ok(None);
        };
        let key = session.in_force(&whole)?;
        self.make(session, &log, (&shelf, Some(whole)), (key, true), reason).await
    }

    /// The end of the epoch as the bucket has it; rows that the database lacks are added.
    async fn read_back(&self, shelf: &Shelf<'_>, log: &Log) -> Result<Last, AnchorError> {
        let store = self.store();
        let known = store.anchor_last().await?.filter(|row| row.epoch == log.epoch);
        let number = known.as_ref().map_or(0, |row| row.number);
        let last = shelf.last(number).await?;
        let Some(whole) = &last.whole else { return Ok(last) };
        if number < whole.meta.anchor {
            shelf.note_rows(store, number, whole).await?;
        } else if known.is_some_and(|known| known != whole.row()) {
            let key = ObjectKey::Checkpoint(number);
            return Err(shelf.wrong(key, "other than when it was put").into());
        }
        Ok(last)
    }

    /// Whether our keys signed it, and it was not made in the future.
    fn check(&self, session: &Session, found: &Found) -> Result<(), AnchorError> {
        let key = session.in_force(found)?;
        if !found.is_signed_by(key.public()) {
            let key = ObjectKey::Checkpoint(found.meta.anchor).path(&found.meta.origin);
            return Err(Fault::Object { key, what: "not signed by our key" }.into());
        }
        let clock = self.now();
        let now = timestamp(clock);
        if now < found.meta.made_at {
            return Err(Fault::Clock { now, made_at: found.meta.made_at.clone() }.into());
        }
        let apart = session.objects.time().map_or(0, |time| (time - clock).whole_seconds().abs());
        if apart > SKEW {
            return Err(Fault::Skew { seconds: apart.unsigned_abs() }.into());
        }
        Ok(())
    }

    /// Completes an anchor whose checkpoint was not put.
    async fn finish(
        &self,
        session: &Session,
        log: &Log,
        shelf: &Shelf<'_>,
        (whole, unfinished): (&Option<Found>, &Unfinished),
        key: &Signer,
    ) -> Result<Option<Found>, AnchorError> {
        let meta = &unfinished.meta;
        let at = ObjectKey::Meta(meta.anchor);
        let mut signers = vec![key];
        if let Some(next) = &meta.next_key {
            signers.extend(session.next.iter().filter(|signer| signer.public().spki() == next.as_slice()));
            if signers.len() == 1 {
                return Err(shelf.wrong(at, "a change to a key that is not configured").into());
            }
        }
        let note = Note::parse(&unfinished.note).map_err(|_| shelf.wrong(at, "no signed note"))?;
        let is_signed = signers.iter().all(|signer| note.is_signed_by(&shelf.origin, signer.public()));
        if !is_signed || meta.signer != *key.public().fingerprint() {
            return Err(shelf.wrong(at, "not signed by our key").into());
        }
        if digests(whole.as_ref()) != (meta.prev_checkpoint, meta.prev_meta) {
            return Err(shelf.wrong(at, "not the one after the last anchor").into());
        }
        let before = whole.as_ref().map(|found| &found.meta);
        let known = if meta.size <= log.size { log.extends(before, meta.size).await? } else { None };
        if known.is_none_or(|state| (state.root, state.chain) != (meta.root, meta.chain)) {
            return Err(log.behind(&session.objects, meta, before).await?.into());
        }
        // They were put first; that they are what they must be is worth a look before signing.
        let old = before.map_or(0, |meta| meta.size);
        tiles::put(shelf, self.store(), (old, meta.size), self.now()).await?;
        self.complete(shelf, (unfinished.note.clone(), meta.clone()), &signers).await
    }

    async fn make(
        &self,
        session: &Session,
        log: &Log,
        (shelf, before): (&Shelf<'_>, Option<Found>),
        (key, has_signed): (&Signer, bool),
        reason: AnchorReason,
    ) -> Result<Option<Found>, AnchorError> {
        let next = session.next.as_ref().filter(|next| has_signed && next.public() != key.public());
        if let Some(next) = next {
            self.tell_handover(key, next).await?;
        }
        let size = self.store().head().await?.map_or(0, |(_, head)| head.seq);
        let last = before.as_ref().map(|found| &found.meta);
        let Some(state) = log.extends(last, size).await? else {
            let Some(last) = last else { return Err(AnchorError::NotBegun) };
            return Err(log.behind(&session.objects, last, Some(last)).await?.into());
        };
        let (prev_checkpoint, prev_meta) = digests(before.as_ref());
        let old = last.map_or(0, |meta| meta.size);
        tiles::put(shelf, self.store(), (old, size), self.now()).await?;
        let now = self.now();
        let (bucket, region, account) = place(&session.objects.store());
        let meta = Meta {
            account,
            anchor: last.map_or(0, |meta| meta.anchor) + 1,
            bucket,
            bundle: (self.inner.parts.bundle)(),
            chain: state.chain,
            development: session.is_development(),
            epoch: log.epoch,
            last_ts: self.last_ts(size).await?,
            made_at: timestamp(now),
            next_due: timestamp(now.saturating_add(self.promise())),
            next_key: next.map(|next| next.public().spki().to_vec()),
            origin: shelf.origin.clone(),
            prev_checkpoint,
            prev_meta,
            reason,
            region,
            root: state.root,
            signer: *key.public().fingerprint(),
            size,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let signers: Vec<_> = [Some(key), next].into_iter().flatten().collect();
        let note = Bytes::from(signed(meta.text(), &shelf.origin, &signers).await?);
        let path = ObjectKey::Meta(meta.anchor).path(&shelf.origin);
        let (_, there) = self.put(shelf, &path, note.clone()).await?;
        if there != note {
            // Another process was quicker: what it began is completed first.
            return Ok(None);
        }
        self.complete(shelf, (note, meta), &signers).await
    }

    /// Puts the checkpoint that the metadata describes.
    async fn complete(
        &self,
        shelf: &Shelf<'_>,
        (note, meta): (Bytes, Meta),
        signers: &[&Signer],
    ) -> Result<Option<Found>, AnchorError> {
        let text = meta.checkpoint().text();
        let bytes = Bytes::from(signed(text.clone(), &shelf.origin, signers).await?);
        let key = ObjectKey::Checkpoint(meta.anchor);
        let (put, checkpoint) = self.put(shelf, &key.path(&shelf.origin), bytes.clone()).await?;
        if checkpoint != bytes {
            // Signatures differ each time; whoever completed the same anchor signed the same text.
            let same = Note::parse(&checkpoint).is_ok_and(|note| {
                note.text == text && signers.iter().all(|signer| note.is_signed_by(&shelf.origin, signer.public()))
            });
            if put == Put::Done || !same {
                return Err(shelf.wrong(key, "other than when it was put").into());
            }
        }
        let found = Found { checkpoint, note, meta };
        self.store().anchor_add(&found.row()).await?;
        Ok(Some(found))
    }

    /// Puts an object unless it is there, and gives what is there then.
    async fn put(&self, shelf: &Shelf<'_>, path: &str, bytes: Bytes) -> Result<(Put, Bytes), AnchorError> {
        let put = shelf.objects.put_new(path, bytes, self.now()).await?;
        let there = shelf.objects.get(path).await?;
        there.map(|there| (put, there)).ok_or_else(|| Fault::Missing { key: path.to_owned() }.into())
    }

    /// The record comes first: no key signs that the log does not name.
    async fn tell_handover(&self, key: &Signer, next: &Signer) -> Result<(), AnchorError> {
        let told = Some(*next.public().fingerprint());
        let known = *self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        if known == told {
            return Ok(());
        }
        let detail = [
            ("from", hex::encode(key.public().fingerprint())),
            ("from_name", key.name().to_owned()),
            ("to", hex::encode(next.public().fingerprint())),
            ("to_name", next.name().to_owned()),
        ];
        let event = Event {
            detail: detail.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            message: Some("the next anchor hands over to another key".to_owned()),
            ..Event::new(EventKind::System, "", "anchor:key")
        };
        self.inner.parts.writer.append(event).await?;
        *self.inner.told.lock().unwrap_or_else(PoisonError::into_inner) = told;
        Ok(())
    }

    async fn session(&self) -> Result<Arc<Session>, AnchorError> {
        let mut slot = self.inner.session.lock().await;
        if let Some(session) = &*slot {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(&self.inner.parts.settings, &self.inner.parts.aws).await?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    pub(super) fn store(&self) -> &Store {
        self.inner.parts.keeper.store()
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.inner.parts.clock.now()
    }

    /// Within which time the next anchor is promised.
    fn promise(&self) -> time::Duration {
        let twice = self.inner.parts.settings.interval.saturating_mul(2);
        time::Duration::try_from(twice).unwrap_or(time::Duration::MAX)
    }

    async fn last_ts(&self, size: u64) -> Result<Option<String>, AnchorError> {
        if size == 0 {
            return Ok(None);
        }
        let record = self.store().record(size).await?;
        let value: serde_json::Value = serde_json::from_slice(&record.canon).unwrap_or_default();
        Ok(value.get("ts").and_then(serde_json::Value::as_str).map(str::to_owned))
    }
}

/// The last anchor of the epochs before: its key signs the first one of this epoch.
async fn before_epoch(session: &Session, log: &Log) -> Result<Option<Found>, AnchorError> {
    for epoch in (1..log.epoch).rev() {
        if let Some(found) = Shelf::new(&session.objects, &log.origin, epoch).last(0).await?.whole {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn digests(before: Option<&Found>) -> (Option<Hash>, Option<Hash>) {
    (before.map(|found| Note::digest(&found.checkpoint)), before.map(|found| Note::digest(&found.note)))
}

/// Bucket, region and account as metadata names them.
fn place(store: &AnchorStore) -> (String, Option<String>, Option<String>) {
    match store {
        AnchorStore::S3 { bucket, region, account } => {
            (bucket.clone(), Some(region.clone()), Some(account.clone()).filter(|account| !account.is_empty()))
        }
        AnchorStore::File { path } => (path.clone(), None, None),
    }
}

impl fmt::Debug for Anchorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchorer").field("settings", &self.inner.parts.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for AnchorParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnchorParts").field("settings", &self.settings).finish_non_exhaustive()
    }
}
