//! The log in a database as evidence: what an export would hold, and beside it what is stored with each
//! record, the tree that is kept, and the bucket itself.

use std::collections::{BTreeMap, VecDeque};

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::anchor::{AnchorError, Loaded};
use crate::proof::anchor::{Meta, ObjectKey, epoch_origin};
use crate::proof::moment::Moment;
use crate::proof::note::Note;
use crate::proof::tile::WIDTH;
use crate::proof::trust::{AnchorStore, Trust};
use crate::proof::verify::{
    self, Claim, Code, Evidence, Finding, GivenAnchor, GivenValue, Options, Outcome, Page, Shelf, StoredRecord,
    Unusable, parse_key,
};
use crate::store::{Ends, Store, StoreError};

/// Rows per read: enough to keep the database busy, little enough to stay small in memory.
const PAGE: u64 = 1_000;
/// Records whose values are read at a time.
const VALUES: u64 = 10_000;
/// Levels of tiles that a tree of 2^63 leaves has.
const LEVELS: u32 = 8;
/// Anchors that are checked at a time.
const ANCHORS: usize = 256;
/// Checks of a log in which values are erased meanwhile.
const TRIES: u32 = 3;

/// Why the check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// The trust file.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// What is known beside the database.
#[derive(Clone, Debug)]
pub struct Anchored {
    /// What is believed.
    pub trust: Trust,
    /// What the bucket holds, read before the database is.
    pub loaded: Loaded,
}

/// Checks the log in a database while it may be written to: all that was there at the start. Without
/// anchors it is incomplete at best. `progress` is told how many records are done, and of how many.
///
/// # Errors
/// [`LiveError`] when the check could not be made; nothing is known then.
pub async fn verify(
    store: &Store,
    anchored: Option<&Anchored>,
    options: &Options,
    mut progress: impl FnMut(u64, u64),
) -> Result<Outcome, LiveError> {
    let mut tries = 1;
    loop {
        let ends = store.ends().await?;
        let outcome = once(store, anchored, options, ends.clone(), &mut progress).await?;
        // A value may be erased while its record is on the way: the record of that is found next time.
        let is_unerased = outcome.report.findings.iter().any(|finding| finding.code == Code::Unerased);
        if !is_unerased || tries == TRIES || store.ends().await? == ends {
            return Ok(outcome);
        }
        tries += 1;
    }
}

async fn once(
    store: &Store,
    anchored: Option<&Anchored>,
    options: &Options,
    ends: Ends,
    progress: &mut impl FnMut(u64, u64),
) -> Result<Outcome, LiveError> {
    let (told, mut tell) = mpsc::unbounded_channel();
    let trust = anchored.map_or_else(|| nobody(&ends), |anchored| anchored.trust.clone());
    let mut evidence = Live::new(store, anchored, &trust, ends);
    let options = options.clone();
    // Hashing would hold up the statements of others on the store's own threads.
    let checking = store.runtime().spawn_blocking(move || {
        let mut progress = |done, of| {
            if told.send((done, of)).is_err() {
                tracing::trace!("nobody waits for this check any more");
            }
        };
        let outcome = verify::verify(&mut evidence, &trust, &options, &mut progress);
        outcome.map(|outcome| (outcome, evidence.clock_s))
    });
    while let Some((done, of)) = tell.recv().await {
        progress(done, of);
    }
    let checked = checking.await.map_err(|_| StoreError::unavailable("the gateway is shutting down"))?;
    let (mut outcome, clock_s) = checked?;
    outcome.report.anchoring.clock_s = clock_s;
    if anchored.is_none() {
        outcome
            .report
            .not_checked
            .push("anchors: no bucket is configured, so the end of the log proves nothing".to_owned());
    }
    Ok(outcome)
}

/// Trust for a log that is not anchored: its own name, and no key.
fn nobody(ends: &Ends) -> Trust {
    let origin = ends.head.as_ref().map(|(origin, _)| origin.clone()).unwrap_or_default();
    let store = AnchorStore::File { path: String::new() };
    Trust { v: 1, origin, keys: Vec::new(), store, development: false, breaks: Vec::new() }
}

/// The log in a database.
struct Live {
    store: Store,
    runtime: Handle,
    claim: Claim,
    anchors: VecDeque<GivenAnchor>,
    findings: Vec<Finding>,
    /// Largest difference between the clocks of the gateway and of the bucket.
    clock_s: Option<u64>,
    /// The last record that was read, and the last one there is.
    after: u64,
    last: u64,
    values: VecDeque<GivenValue>,
    values_after: u64,
}

impl Live {
    fn new(store: &Store, anchored: Option<&Anchored>, trust: &Trust, ends: Ends) -> Self {
        let head = ends.head.as_ref().map(|(_, head)| (head.seq, head.chain));
        let claim = Claim {
            origin: ends.head.map(|(origin, _)| origin).unwrap_or_else(|| trust.origin.clone()),
            first: 1,
            last: ends.last.max(head.map_or(0, |(seq, _)| seq)),
            head,
            made_at: None,
            values: true,
            is_bucket: true,
            is_database: true,
            note: None,
        };
        let mut live = Self {
            store: store.clone(),
            runtime: store.runtime().clone(),
            claim,
            anchors: VecDeque::new(),
            findings: Vec::new(),
            clock_s: None,
            after: 0,
            last: ends.last,
            values: VecDeque::new(),
            values_after: 0,
        };
        if let Some(anchored) = anchored {
            live.take_anchors(&anchored.loaded, &trust.origin);
        }
        live
    }

    fn take_anchors(&mut self, loaded: &Loaded, origin: &str) {
        let keys = loaded.objects.keys().filter_map(|key| parse_key(origin, key));
        let shelf = Shelf::of(keys);
        self.findings = shelf.findings;
        let note = |key: ObjectKey, epoch| {
            loaded.objects.get(&key.path(&epoch_origin(origin, epoch))).map(|bytes| bytes.to_vec()).unwrap_or_default()
        };
        let anchor = |(epoch, number)| GivenAnchor {
            epoch,
            number,
            checkpoint: note(ObjectKey::Checkpoint(number), epoch),
            meta: note(ObjectKey::Meta(number), epoch),
        };
        self.anchors = shelf.anchors.into_iter().map(anchor).collect();
        self.look_at_versions(loaded, origin);
        self.compare_clocks(loaded, origin);
    }

    /// Object Lock keeps versions, not keys: a second version or a delete marker hides the first.
    fn look_at_versions(&mut self, loaded: &Loaded, origin: &str) {
        let mut keys: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
        for version in &loaded.versions {
            let (count, is_marked) = keys.entry(&version.key).or_default();
            *count += 1;
            *is_marked |= version.is_marker;
        }
        for (key, (count, is_marked)) in keys.into_iter().filter(|(_, (count, is_marked))| *count > 1 || *is_marked) {
            let marked = if is_marked { ", and is marked as deleted" } else { "" };
            let detail = format!("{key} has {count} versions{marked}");
            self.findings.push(match parse_key(origin, key) {
                Some((epoch, ObjectKey::Checkpoint(number) | ObjectKey::Meta(number))) => {
                    Finding::anchor(Code::Versions, epoch, number, detail)
                }
                Some((_, ObjectKey::Tile(_))) | None => Finding::whole(Code::Versions, detail),
            });
        }
    }

    fn compare_clocks(&mut self, loaded: &Loaded, origin: &str) {
        for version in &loaded.versions {
            let Some((_, ObjectKey::Meta(_))) = parse_key(origin, &version.key) else { continue };
            let bytes = loaded.objects.get(&version.key);
            let note = bytes.and_then(|bytes| Note::parse(bytes).ok());
            let made_at = note.and_then(|note| Moment::parse(&Meta::parse(&note.text)?.made_at)?.time());
            if let Some((made_at, written)) = made_at.zip(version.last_modified) {
                let seconds = (written - made_at).whole_seconds().unsigned_abs();
                self.clock_s = Some(self.clock_s.unwrap_or_default().max(seconds));
            }
        }
    }

    /// The next values, of so many records at a time.
    fn read_values(&mut self) -> Result<(), StoreError> {
        while self.values.is_empty() && self.values_after < self.last {
            let (first, last) = (self.values_after + 1, (self.values_after + VALUES).min(self.last));
            self.values_after = last;
            let rows = match self.runtime.block_on(self.store.private_of(first, last)) {
                // A salt that is none is damage, and not a reason to stop.
                Err(StoreError::Corrupt(detail)) => {
                    let detail = format!("values of records {first} to {last}: {detail}");
                    self.findings.push(Finding::whole(Code::Private, detail));
                    continue;
                }
                rows => rows?,
            };
            let value = |row: crate::store::PrivateRow| GivenValue {
                seq: Some(row.seq),
                name: row.name,
                salt: row.salt,
                value: row.value,
            };
            self.values = rows.into_iter().map(value).collect();
            // The databases sort texts in their own ways.
            self.values.make_contiguous().sort_by(|a, b| (a.seq, &a.name).cmp(&(b.seq, &b.name)));
        }
        Ok(())
    }
}

impl Evidence for Live {
    type Error = LiveError;

    fn claim(&self) -> &Claim {
        &self.claim
    }

    fn anchors(&mut self) -> Result<Vec<GivenAnchor>, LiveError> {
        let count = ANCHORS.min(self.anchors.len());
        Ok(self.anchors.drain(..count).collect())
    }

    /// As far as the tree is kept: it follows the log.
    fn tree_size(&mut self) -> Result<u64, LiveError> {
        let mut size = self.last;
        for level in 1..LEVELS {
            if size >> (8 * level) > 0 {
                let kept = self.runtime.block_on(self.store.nodes_count(level))?;
                if kept < size >> (8 * level) {
                    size = ((kept + 1) << (8 * level)) - 1;
                }
            }
        }
        Ok(size)
    }

    fn tile(&mut self, level: u32, index: u64) -> Result<Option<Vec<u8>>, LiveError> {
        match self.runtime.block_on(self.store.nodes(level, index.saturating_mul(WIDTH), WIDTH)) {
            Ok(hashes) if hashes.is_empty() => Ok(None),
            Ok(hashes) => Ok(Some(hashes.concat())),
            // What is no hash is damage, and not a reason to stop.
            Err(StoreError::Corrupt(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn skip(&mut self, records: u64) -> Result<(), LiveError> {
        self.after += records;
        Ok(())
    }

    fn records(&mut self, page: &mut Page) -> Result<(), LiveError> {
        let rows = self.runtime.block_on(self.store.records_after(self.after, PAGE))?;
        for row in rows.into_iter().filter(|row| row.seq <= self.last) {
            self.after = row.seq;
            let stored = StoredRecord { seq: row.seq, leaf: row.leaf, chain: row.chain, columns: row.columns };
            page.push_stored(&row.canon, stored);
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Option<GivenValue>, LiveError> {
        self.read_values()?;
        Ok(self.values.pop_front())
    }

    fn findings(&mut self) -> Result<Vec<Finding>, LiveError> {
        Ok(std::mem::take(&mut self.findings))
    }
}
