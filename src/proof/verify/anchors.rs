//! The anchors by themselves: form, signatures, order. What remains is what each good one says of the
//! records.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use time::Duration;

use super::report::{Anchoring, Findings};
use super::{Code, Finding, GivenAnchor, Options};
use crate::proof::anchor::{Checkpoint, Meta, epoch_origin};
use crate::proof::chain::Hash;
use crate::proof::key::PublicKey;
use crate::proof::moment::Moment;
use crate::proof::note::Note;
use crate::proof::trust::{AnchorStore, Trust, TrustError};

/// An anchor may be made so much later than now.
const SKEW: Duration = Duration::minutes(5);

/// Good anchors of one epoch that say the same: one, or those of an idle time.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) epoch: u64,
    /// Number of the first and of the last of them.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) chain: Hash,
    /// Made after the evidence was gathered.
    pub(super) is_later: bool,
    pub(super) seen: Seen,
}

/// How a run fits the records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) is_match: bool,
    pub(super) other_root: bool,
    pub(super) other_chain: bool,
}

/// A good anchor that something is compared with later.
#[derive(Clone, Debug)]
pub(super) struct Last {
    pub(super) number: u64,
    pub(super) size: u64,
    pub(super) checkpoint: Hash,
    pub(super) meta: Hash,
    pub(super) made_at: Moment,
    pub(super) next_due: Moment,
}

/// The anchor before, whatever it is worth.
#[derive(Debug)]
struct Before {
    epoch: u64,
    number: u64,
    checkpoint: Hash,
    meta: Hash,
}

#[derive(Debug)]
pub(super) struct Anchors<'t> {
    trust: &'t Trust,
    trusted: Vec<PublicKey>,
    /// The key that signs, once an anchor was good.
    force: Option<PublicKey>,
    /// That key when the evidence was gathered, and the epoch then.
    gathering: Option<(PublicKey, u64)>,
    before: Option<Before>,
    /// The last good one of each epoch.
    lasts: BTreeMap<u64, Last>,
    pub(super) runs: Vec<Run>,
    pub(super) given: u64,
    pub(super) told: Anchoring,
    /// Whether the log is looked at from record 1 on.
    is_from_begin: bool,
    /// When the evidence was gathered.
    gathered: Option<Moment>,
    latest: Moment,
    has_future: bool,
}

/// An anchor, read.
struct Read {
    epoch: u64,
    number: u64,
    checkpoint_digest: Hash,
    meta_digest: Hash,
    parts: Result<Parts, &'static str>,
}

struct Parts {
    notes: [Note; 2],
    checkpoint: Checkpoint,
    meta: Meta,
    made_at: Moment,
    next_due: Moment,
    next_key: Option<PublicKey>,
    /// The key that signed, and whether the next one did as well: set once the signatures were checked.
    signed: Option<PublicKey>,
    is_handed_over: bool,
}

impl<'t> Anchors<'t> {
    pub(super) fn new(
        trust: &'t Trust,
        options: &Options,
        is_from_begin: bool,
        gathered: Option<Moment>,
    ) -> Result<Self, TrustError> {
        Ok(Self {
            trust,
            // A log that is not anchored is checked without a key: nothing is signed by none.
            trusted: if trust.keys.is_empty() { Vec::new() } else { trust.public_keys()? },
            force: None,
            gathering: None,
            before: None,
            lasts: BTreeMap::new(),
            runs: Vec::new(),
            given: 0,
            told: Anchoring { development: trust.is_development(), ..Anchoring::default() },
            is_from_begin,
            gathered,
            latest: Moment::of(options.now + SKEW),
            has_future: false,
        })
    }

    /// The key in force after the last good anchor.
    pub(super) const fn in_force(&self) -> Option<&PublicKey> {
        self.force.as_ref()
    }

    /// The key in force when the evidence was gathered, and the name under which it signs: an anchor
    /// that was made later may hand over to another.
    pub(super) fn at_gathering(&self) -> Option<(&PublicKey, String)> {
        let (key, epoch) = self.gathering.as_ref()?;
        Some((key, epoch_origin(&self.trust.origin, *epoch)))
    }

    pub(super) fn trusted(&self) -> &[PublicKey] {
        &self.trusted
    }

    /// Goes on from an anchor that was checked before.
    pub(super) fn resume(&mut self, epoch: u64, last: Last, force: PublicKey) {
        let (checkpoint, meta) = (last.checkpoint, last.meta);
        self.before = Some(Before { epoch, number: last.number, checkpoint, meta });
        self.gathering = Some((force.clone(), epoch));
        self.force = Some(force);
        self.lasts.insert(epoch, last);
    }

    /// The last good anchor and its epoch.
    pub(super) fn newest(&self) -> Option<(u64, &Last)> {
        self.lasts.last_key_value().map(|(epoch, last)| (*epoch, last))
    }

    /// The last good anchor of the newest epoch below `epoch`.
    pub(super) fn last_below(&self, epoch: u64) -> Option<&Last> {
        self.lasts.range(..epoch).next_back().map(|(_, last)| last)
    }

    /// Checks the next ones.
    pub(super) fn page(&mut self, page: &[GivenAnchor], findings: &mut Findings) {
        self.given += u64::try_from(page.len()).unwrap_or_default();
        let mut read: Vec<Read> = page.par_iter().map(read).collect();
        let mut keys: HashMap<Hash, PublicKey> = HashMap::new();
        let declared = read.iter().filter_map(|read| read.parts.as_ref().ok()?.next_key.as_ref());
        for key in self.trusted.iter().chain(&self.force).chain(declared) {
            keys.entry(*key.fingerprint()).or_insert_with(|| key.clone());
        }
        // Signatures take the time, so they are checked on all cores under the key that each names;
        // which of them counts is found out in order.
        let origin = &self.trust.origin;
        read.par_iter_mut().for_each(|read| {
            let name = epoch_origin(origin, read.epoch);
            if let Ok(parts) = &mut read.parts {
                parts.check_signatures(&name, keys.get(&parts.meta.signer));
            }
        });
        for read in read {
            self.take(read, findings);
        }
    }

    fn take(&mut self, read: Read, findings: &mut Findings) {
        let (epoch, number) = (read.epoch, read.number);
        if epoch == 0 || number == 0 {
            return findings.add(Finding::whole(Code::Note, "a line that is no anchor"));
        }
        let is_next = self.before.as_ref().is_none_or(|before| (before.epoch, before.number) < (epoch, number));
        if !is_next {
            return findings.add(Finding::anchor(Code::Anchor, epoch, number, "out of order, or there twice"));
        }
        self.look_for_gap(epoch, number, findings);
        match &read.parts {
            Err(detail) => findings.add(Finding::anchor(Code::Note, epoch, number, *detail)),
            Ok(parts) => match self.fault(epoch, number, parts) {
                Some((code, detail)) => findings.add(Finding::anchor(code, epoch, number, detail)),
                None => self.look_at_good(&read, parts, findings),
            },
        }
        let (checkpoint, meta) = (read.checkpoint_digest, read.meta_digest);
        self.before = Some(Before { epoch, number, checkpoint, meta });
    }

    fn look_for_gap(&self, epoch: u64, number: u64, findings: &mut Findings) {
        let begin = match &self.before {
            Some(before) if before.epoch == epoch => Some((epoch, before.number + 1)),
            Some(_) => Some((epoch, 1)),
            None => self.is_from_begin.then_some((1, 1)),
        };
        if let Some((first_epoch, first)) = begin
            && (first_epoch, first) < (epoch, number)
        {
            let detail = if first_epoch == epoch && first + 1 < number {
                format!("anchors {first} to {} of epoch {epoch} are missing", number - 1)
            } else {
                format!("anchor {first} of epoch {first_epoch} is missing")
            };
            findings.add(Finding::anchor(Code::Gap, first_epoch, first, detail));
        }
    }

    /// Why an anchor is not good.
    fn fault(&self, epoch: u64, number: u64, parts: &Parts) -> Option<(Code, String)> {
        let wrong = |detail: String| Some((Code::Anchor, detail));
        let meta = &parts.meta;
        if meta.checkpoint() != parts.checkpoint {
            return wrong("the metadata describes another checkpoint".to_owned());
        }
        if (meta.epoch, meta.anchor) != (epoch, number) {
            return wrong(format!("made as anchor {} of epoch {}", meta.anchor, meta.epoch));
        }
        let origin = epoch_origin(&self.trust.origin, epoch);
        if meta.origin != origin {
            return wrong(format!("made for the log {:?}, not for {origin}", meta.origin));
        }
        if meta.last_ts.is_some() != (meta.size > 0) {
            return wrong("it names a last record, or none, against its size".to_owned());
        }
        if !self.is_here(meta) {
            return wrong("made for another place than the trust file names".to_owned());
        }
        if meta.development && !self.trust.is_development() {
            return wrong("made in development, which the trust file does not allow".to_owned());
        }
        let Some(signer) = &parts.signed else {
            return Some((Code::Signature, "not signed by a key that counts".to_owned()));
        };
        let counts = match &self.force {
            Some(force) => force == signer,
            None => self.trusted.contains(signer),
        };
        if !counts {
            return Some((Code::Signature, format!("signed by {}, which does not count", short(signer))));
        }
        if parts.next_key.is_some() && !parts.is_handed_over {
            return Some((Code::Signature, "the next key did not sign".to_owned()));
        }
        None
    }

    fn is_here(&self, meta: &Meta) -> bool {
        match &self.trust.store {
            AnchorStore::S3 { bucket, region, account } => {
                meta.bucket == *bucket
                    && meta.region.as_ref() == Some(region)
                    && (account.is_empty() || meta.account.as_ref() == Some(account))
            }
            AnchorStore::File { path } => meta.bucket == *path && meta.region.is_none() && meta.account.is_none(),
        }
    }

    fn look_at_good(&mut self, read: &Read, parts: &Parts, findings: &mut Findings) {
        let (epoch, number, meta) = (read.epoch, read.number, &parts.meta);
        if let Some(detail) = self.broken_link(epoch, number, meta) {
            findings.add(Finding::anchor(Code::Link, epoch, number, detail));
        }
        if let Some(last) = self.lasts.get(&epoch) {
            if meta.size < last.size || parts.made_at < last.made_at {
                let detail = format!("smaller or earlier than anchor {}", last.number);
                findings.add(Finding::anchor(Code::Backwards, epoch, number, detail));
            }
            self.told.late += u64::from(parts.made_at > last.next_due);
            let between = parts.made_at.time().zip(last.made_at.time()).map(|(now, then)| (now - then).whole_seconds());
            let between = between.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
            self.told.longest_s = self.told.longest_s.max(between);
        }
        if parts.made_at > self.latest && !self.has_future {
            self.has_future = true;
            let detail = format!("made at {}, more than five minutes in the future", parts.made_at);
            findings.add(Finding::anchor(Code::Future, epoch, number, detail));
        }
        self.told.development |= meta.development;
        self.told.good += 1;
        self.force = parts.next_key.clone().or_else(|| parts.signed.clone());
        if !self.is_later(parts) {
            self.gathering = self.force.clone().map(|key| (key, epoch));
        }
        let last = Last {
            number,
            size: meta.size,
            checkpoint: read.checkpoint_digest,
            meta: read.meta_digest,
            made_at: parts.made_at,
            next_due: parts.next_due,
        };
        self.lasts.insert(epoch, last);
        self.keep(epoch, number, parts);
    }

    fn broken_link(&self, epoch: u64, number: u64, meta: &Meta) -> Option<&'static str> {
        let named = (meta.prev_checkpoint, meta.prev_meta);
        if number == 1 {
            return (named != (None, None)).then_some("the first anchor names one before it");
        }
        let (Some(checkpoint), Some(meta)) = named else { return Some("it does not name the anchor before") };
        let before = self.before.as_ref().filter(|before| before.epoch == epoch && before.number + 1 == number)?;
        let fits = checkpoint == before.checkpoint && meta == before.meta;
        (!fits).then_some("the anchor before is not the one that it names")
    }

    /// Whether it was made after the evidence was gathered.
    fn is_later(&self, parts: &Parts) -> bool {
        self.gathered.is_some_and(|gathered| parts.made_at > gathered)
    }

    fn keep(&mut self, epoch: u64, number: u64, parts: &Parts) {
        let meta = &parts.meta;
        let is_later = self.is_later(parts);
        if let Some(run) = self.runs.last_mut()
            && (run.epoch, run.size, run.is_later) == (epoch, meta.size, is_later)
            && (run.root, run.chain) == (meta.root, meta.chain)
        {
            run.last = number;
            return;
        }
        let (size, root, chain) = (meta.size, meta.root, meta.chain);
        let seen = Seen::default();
        self.runs.push(Run { epoch, first: number, last: number, size, root, chain, is_later, seen });
    }
}

impl Parts {
    fn check_signatures(&mut self, name: &str, signer: Option<&PublicKey>) {
        let by = |key: &PublicKey| self.notes.iter().all(|note| note.is_signed_by(name, key));
        self.is_handed_over = self.next_key.as_ref().is_some_and(by);
        self.signed = signer.filter(|key| by(key)).cloned();
    }
}

fn read(given: &GivenAnchor) -> Read {
    Read {
        epoch: given.epoch,
        number: given.number,
        checkpoint_digest: Note::digest(&given.checkpoint),
        meta_digest: Note::digest(&given.meta),
        parts: parts(given),
    }
}

fn parts(given: &GivenAnchor) -> Result<Parts, &'static str> {
    let checkpoint_note = Note::parse(&given.checkpoint).map_err(|_| "the checkpoint is no signed note")?;
    let meta_note = Note::parse(&given.meta).map_err(|_| "the metadata is no signed note")?;
    let checkpoint = Checkpoint::parse(&checkpoint_note.text).ok_or("the checkpoint's text is none of a checkpoint")?;
    let meta = Meta::parse(&meta_note.text).ok_or("the metadata's text is none of an anchor")?;
    let time = |text: &str| Moment::parse(text).ok_or("a time in the metadata is none");
    let (made_at, next_due) = (time(&meta.made_at)?, time(&meta.next_due)?);
    if let Some(last_ts) = &meta.last_ts {
        time(last_ts)?;
    }
    let next_key = meta.next_key.as_ref().map(|spki| PublicKey::from_spki(spki)).transpose();
    let next_key = next_key.map_err(|_| "the next key is no public key")?;
    let notes = [checkpoint_note, meta_note];
    Ok(Parts { notes, checkpoint, meta, made_at, next_due, next_key, signed: None, is_handed_over: false })
}

/// The begin of a key's fingerprint, as people compare it.
pub(super) fn short(key: &PublicKey) -> String {
    format!("the key {}…", hex::encode(key.id()))
}
