//! Logs with anchors, made in memory without a database: honest ones by [`honest`], dishonest ones by
//! changing the fields of a [`Log`] and signing again, or the files of a [`Bundle`].
//!
//! ```
//! use rack_gateway_tests::evidence::{Plan, honest};
//! let log = honest(&Plan { records: 30, anchor_every: 10, ..Plan::default() });
//! let bundle = log.bundle();
//! assert!(bundle.files.contains_key("manifest.json"));
//! ```

mod bundle;
mod key;
mod plan;

pub use bundle::{Bundle, copy_of_bucket};
pub use key::Key;
pub use plan::{Break, Plan, honest};

use rack_gateway::proof::anchor::{AnchorReason, Meta, epoch_origin};
use rack_gateway::proof::chain::{self, Hash};
use rack_gateway::proof::commitment::commit;
use rack_gateway::proof::note::Note;
use rack_gateway::proof::tree::Frontier;
use rack_gateway::proof::trust::{AcceptedBreak, AnchorStore, Trust, TrustedKey};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime, format_description::FormatItem, macros::format_description};

/// The origin of all evidence.
pub const ORIGIN: &str = "rack-gateway/acme/prod";
const TIME: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A time as records write it.
///
/// # Panics
/// Never: every time can be written.
#[must_use]
pub fn time_text(at: OffsetDateTime) -> String {
    at.format(TIME).expect("a time")
}

/// A personal value beside the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateValue {
    pub seq: u64,
    pub name: String,
    pub salt: [u8; 16],
    pub value: String,
}

/// An anchor: what is signed, who signs it, and the notes as they were signed last.
#[derive(Clone)]
pub struct Anchor {
    /// Its metadata; the checkpoint follows from it.
    pub meta: Meta,
    /// The keys that sign: one, or two where the key changes.
    pub keys: Vec<Key>,
    /// The note of the checkpoint.
    pub checkpoint: Vec<u8>,
    /// The note of the metadata.
    pub note: Vec<u8>,
}

impl Anchor {
    /// Signs what is in `meta` by `keys`.
    pub fn sign(&mut self) {
        let sign = |text: String| {
            let mut note = Note { text, signatures: Vec::new() };
            for key in &self.keys {
                let signature = key.sign(note.text.as_bytes());
                note.sign(&self.meta.origin, key.public(), signature);
            }
            note.encode().into_bytes()
        };
        (self.checkpoint, self.note) = (sign(self.meta.checkpoint().text()), sign(self.meta.text()));
    }
}

/// A log with everything that belongs to it.
#[derive(Clone)]
pub struct Log {
    pub origin: String,
    pub store: AnchorStore,
    pub development: bool,
    /// The bytes of record n at n - 1.
    pub records: Vec<Vec<u8>>,
    /// By seq and name.
    pub values: Vec<PrivateValue>,
    /// By epoch and number.
    pub anchors: Vec<Anchor>,
    /// Breaks that were declared.
    pub breaks: Vec<AcceptedBreak>,
    /// The epoch that new anchors are of.
    pub epoch: u64,
    /// The key in force.
    pub key: Key,
    /// The first key, which the trust file names.
    pub first_key: Key,
    /// The time of the next record.
    pub now: OffsetDateTime,
    /// From one record to the next.
    pub step: Duration,
}

impl Log {
    /// A log without records.
    #[must_use]
    pub fn new(now: OffsetDateTime, step: Duration) -> Self {
        let store = AnchorStore::S3 {
            bucket: "acme-audit-anchors".to_owned(),
            region: "eu-central-1".to_owned(),
            account: "123456789012".to_owned(),
        };
        let key = Key::generate();
        Self {
            origin: ORIGIN.to_owned(),
            store,
            development: false,
            records: Vec::new(),
            values: Vec::new(),
            anchors: Vec::new(),
            breaks: Vec::new(),
            epoch: 1,
            first_key: key.clone(),
            key,
            now,
            step,
        }
    }

    /// Adds a record: `fields` without `v`, `seq`, `ts` and `private`.
    ///
    /// # Panics
    /// When `fields` is no object.
    pub fn append(&mut self, fields: Json, private: &[(&str, &str)]) -> u64 {
        let seq = self.records.len() as u64 + 1;
        let Json::Object(mut record) = fields else { panic!("no object: {fields}") };
        record.insert("v".to_owned(), json!(1));
        record.insert("seq".to_owned(), json!(seq));
        record.insert("ts".to_owned(), json!(time_text(self.now)));
        let mut commitments = serde_json::Map::new();
        let mut private = private.to_vec();
        private.sort_unstable();
        for (name, value) in private {
            let salt = salt(seq, name);
            commitments.insert(name.to_owned(), json!(hex::encode(commit(&salt, value))));
            let (name, value) = (name.to_owned(), value.to_owned());
            self.values.push(PrivateValue { seq, name, salt, value });
        }
        if !commitments.is_empty() {
            record.insert("private".to_owned(), Json::Object(commitments));
        }
        self.records.push(spell(&Json::Object(record)).into_bytes());
        self.now += self.step;
        seq
    }

    /// Makes an anchor of all records, a second after the last one. `next` is a key to hand over to.
    ///
    /// This looks at all records; [`honest`] does not for each of many.
    pub fn anchor(&mut self, reason: AnchorReason, next: Option<Key>) {
        let (root, chain) = self.state_at(self.records.len() as u64);
        self.anchor_with(reason, next, (root, chain));
    }

    fn anchor_with(&mut self, reason: AnchorReason, next: Option<Key>, (root, chain): (Hash, Hash)) {
        let size = self.records.len() as u64;
        let before = self.anchors.last().filter(|last| last.meta.epoch == self.epoch);
        let (bucket, region, account) = match self.store.clone() {
            AnchorStore::S3 { bucket, region, account } => {
                (bucket, Some(region), Some(account).filter(|a| !a.is_empty()))
            }
            AnchorStore::File { path } => (path, None, None),
        };
        let made_at = self.now - self.step + Duration::SECOND.min(self.step / 2);
        let meta = Meta {
            account,
            anchor: before.map_or(1, |last| last.meta.anchor + 1),
            bucket,
            bundle: Some("5f0c".repeat(16)),
            chain,
            development: self.development,
            epoch: self.epoch,
            last_ts: self.records.last().map(|record| text_of(record, "ts")),
            made_at: time_text(made_at),
            next_due: time_text(made_at + Duration::seconds(120)),
            next_key: next.as_ref().map(|key| key.public().spki().to_vec()),
            origin: epoch_origin(&self.origin, self.epoch),
            prev_checkpoint: before.map(|last| Note::digest(&last.checkpoint)),
            prev_meta: before.map(|last| Note::digest(&last.note)),
            reason,
            region,
            root,
            signer: *self.key.public().fingerprint(),
            size,
            version: "0.1.0".to_owned(),
        };
        let keys = [Some(self.key.clone()), next.clone()].into_iter().flatten().collect();
        let mut anchor = Anchor { meta, keys, checkpoint: Vec::new(), note: Vec::new() };
        anchor.sign();
        self.anchors.push(anchor);
        self.key = next.unwrap_or_else(|| self.key.clone());
    }

    /// Loses all records after number `kept` and declares the break; the next anchor is of the next epoch.
    ///
    /// # Panics
    /// When nothing was anchored.
    pub fn lose(&mut self, kept: u64) {
        let last = self.anchors.last().expect("an anchor");
        let (number, lost) = (last.meta.anchor, last.meta.size);
        let checkpoint = hex::encode(Note::digest(&last.checkpoint));
        let fits = |anchor: &&Anchor| anchor.meta.epoch == self.epoch && anchor.meta.size <= kept;
        let anchored = self.anchors.iter().filter(fits).map(|anchor| anchor.meta.size).max().unwrap_or(0);
        self.records.truncate(usize::try_from(kept).expect("a number"));
        self.values.retain(|value| value.seq <= kept);
        self.epoch += 1;
        self.breaks.push(AcceptedBreak { epoch: self.epoch, kept: anchored, lost });
        let epoch =
            json!({"anchor": number, "checkpoint": checkpoint, "kept": anchored, "lost": lost, "number": self.epoch});
        let detail = json!({"approver": "ada@example.com", "reason": "restored from a backup"});
        self.append(
            json!({"action": "audit:epoch", "detail": detail, "epoch": epoch, "instance": "one", "kind": "epoch"}),
            &[],
        );
    }

    /// Root and chain value after record `size`, from the bytes of the records.
    ///
    /// # Panics
    /// When there are fewer records.
    #[must_use]
    pub fn state_at(&self, size: u64) -> (Hash, Hash) {
        let mut state = (Frontier::default(), chain::genesis(&self.origin));
        for record in &self.records[..usize::try_from(size).expect("a number")] {
            grow(&mut state, record);
        }
        (state.0.root(), state.1)
    }

    /// Makes anchors number `from` (of all, from 0) and later again, from the records as they are now:
    /// roots, chain values, hashes of the notes before, signatures. Anchors above the last record keep
    /// the root and the chain value that they have.
    pub fn sign_again(&mut self, from: usize) {
        let mut state = (Frontier::default(), chain::genesis(&self.origin));
        for at in 0..self.anchors.len() {
            let size = self.anchors[at].meta.size;
            if size < state.0.size() {
                state = (Frontier::default(), chain::genesis(&self.origin));
            }
            let have = self.records.iter().skip(usize::try_from(state.0.size()).unwrap_or(usize::MAX));
            let missing = size.saturating_sub(state.0.size());
            for record in have.take(usize::try_from(missing).unwrap_or(usize::MAX)) {
                grow(&mut state, record);
            }
            if at < from {
                continue;
            }
            let before = at.checked_sub(1).map(|at| self.anchors[at].clone());
            let before = before.filter(|before| before.meta.epoch == self.anchors[at].meta.epoch);
            let anchor = &mut self.anchors[at];
            if state.0.size() == size {
                (anchor.meta.root, anchor.meta.chain) = (state.0.root(), state.1);
            }
            anchor.meta.prev_checkpoint = before.as_ref().map(|before| Note::digest(&before.checkpoint));
            anchor.meta.prev_meta = before.as_ref().map(|before| Note::digest(&before.note));
            anchor.sign();
        }
    }

    /// What the auditor of this log believes.
    #[must_use]
    pub fn trust(&self) -> Trust {
        use base64::Engine as _;
        let public_key = base64::engine::general_purpose::STANDARD.encode(self.first_key.public().spki());
        let keys = vec![TrustedKey { public_key, name: "arn:aws:kms:eu-central-1:123456789012:key/1".to_owned() }];
        let (origin, store, breaks) = (self.origin.clone(), self.store.clone(), self.breaks.clone());
        Trust { v: 1, origin, keys, store, development: self.development, breaks }
    }
}

/// JSON in the profile of records: keys in order. Strings are escaped as the profile has it.
fn spell(value: &Json) -> String {
    match value {
        Json::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            let members = sorted.into_iter().map(|(key, value)| format!("{}:{}", json!(key), spell(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(spell).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

fn grow((tree, chain): &mut (Frontier, Hash), record: &[u8]) {
    let leaf = chain::leaf(record);
    *chain = chain::link(chain, &leaf);
    tree.push(leaf);
}

/// A text of the outer object of a record.
fn text_of(record: &[u8], field: &str) -> String {
    let record: Json = serde_json::from_slice(record).unwrap_or_default();
    record[field].as_str().unwrap_or_default().to_owned()
}

/// Made from the place, so that the same log has the same salts.
fn salt(seq: u64, name: &str) -> [u8; 16] {
    let hash: Hash = Sha256::digest(format!("{seq}/{name}")).into();
    *hash.first_chunk().expect("32 bytes")
}
