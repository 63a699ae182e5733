//! Where a check ended well, so that the next one, of a longer log, need not begin at record 1.
//!
//! Whoever holds this file decides what the next check believes of the records before: it belongs
//! to the auditor, like the trust file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::anchors::{Anchors, Last};
use super::facts::digest;
use super::pairs::Pairs;
use super::report::{AnchorRef, Findings, Verdict};
use super::walk::Walk;
use super::{Claim, Code, Finding, GivenAnchor};
use crate::proof::chain::Hash;
use crate::proof::key::PublicKey;
use crate::proof::moment::Moment;
use crate::proof::note::Note;
use crate::proof::tree::Frontier;
use crate::proof::trust::Trust;

/// Version of the file.
const VERSION: u64 = 1;

/// The state of a log at an anchor that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// Version of the file, 1.
    v: u64,
    /// The name of the log.
    origin: String,
    /// Records that were checked: those that the anchor covers.
    pub(super) size: u64,
    /// The anchor.
    pub(super) anchor: AnchorRef,
    /// SHA-256 of its two notes, hex.
    checkpoint: String,
    meta: String,
    made_at: String,
    next_due: String,
    /// The key in force after it: SubjectPublicKeyInfo in base64.
    key: String,
    /// Chain value and right edge of the tree, hex.
    chain: String,
    tree: Vec<String>,
    /// Intents without an outcome, and when they began.
    open: Vec<(u64, String)>,
    /// Intents with an outcome of unknown result.
    unknown: Vec<u64>,
}

/// Why an earlier check cannot be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    /// Not the file that a check leaves.
    #[error("the file of the earlier check is damaged: check from the begin, without it")]
    Damaged,
    /// Of another log.
    #[error("the file of the earlier check is about another log")]
    Origin,
    /// The evidence begins later than the earlier check ended.
    #[error("records are missing between the earlier check and this evidence: export from where it ended, or earlier")]
    Apart,
    /// The evidence ends before.
    #[error("the evidence ends before the earlier check did: check from the begin, without its file")]
    Shorter,
    /// The evidence does not hold the anchor.
    #[error(
        "the anchor at which the earlier check ended is not in this evidence: check from the begin, without its file"
    )]
    Anchor,
}

impl Resume {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ResumeError::Damaged`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ResumeError> {
        let resume: Self = serde_json::from_slice(bytes).map_err(|_| ResumeError::Damaged)?;
        resume.state()?;
        resume.pairs()?;
        resume.last()?;
        resume.key()?;
        let is_sound = resume.v == VERSION && resume.size == resume.anchor.size && resume.size < u64::MAX >> 1;
        if is_sound { Ok(resume) } else { Err(ResumeError::Damaged) }
    }

    /// The file.
    ///
    /// # Errors
    /// When JSON cannot be written, which does not happen.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec_pretty(self)
    }

    /// Records that were checked.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What a check left: only one that found nothing wrong, and saw the last anchor match.
    pub(super) fn after(walk: &Walk<'_>, trust: &Trust, verdict: Verdict) -> Option<Self> {
        let point = walk.point.as_ref().filter(|_| verdict != Verdict::Tampered)?;
        let (epoch, last) = walk.anchors.newest()?;
        let key = walk.anchors.in_force()?;
        let is_same = |run: &&super::Run| run.epoch == epoch && run.last == last.number;
        // Without a run of its own it is the anchor that the check before ended at.
        let run = walk.anchors.runs.iter().find(is_same);
        if run.is_some_and(|run| !run.seen.is_match || walk.epochs.is_lost(run)) {
            return None;
        }
        Some(Self {
            v: VERSION,
            origin: trust.origin.clone(),
            size: last.size,
            anchor: AnchorRef { epoch, number: last.number, size: last.size },
            checkpoint: hex::encode(last.checkpoint),
            meta: hex::encode(last.meta),
            made_at: last.made_at.to_string(),
            next_due: last.next_due.to_string(),
            key: STANDARD.encode(key.spki()),
            chain: hex::encode(point.chain),
            tree: point.tree.roots().iter().map(hex::encode).collect(),
            open: point.pairs.open.iter().map(|(seq, began)| (*seq, began.to_string())).collect(),
            unknown: point.pairs.unknown.iter().copied().collect(),
        })
    }

    /// Whether evidence can be checked from here on.
    pub(super) fn fits(&self, trust: &Trust, claim: &Claim) -> Result<(), ResumeError> {
        if self.origin != trust.origin {
            return Err(ResumeError::Origin);
        }
        if claim.first > self.size + 1 {
            return Err(ResumeError::Apart);
        }
        if claim.last < self.size { Err(ResumeError::Shorter) } else { Ok(()) }
    }

    pub(super) fn state(&self) -> Result<(Frontier, Hash), ResumeError> {
        let hash = |text: &String| digest(text).ok_or(ResumeError::Damaged);
        let roots = self.tree.iter().map(hash).collect::<Result<_, _>>()?;
        let tree = Frontier::resume(self.size, roots).ok_or(ResumeError::Damaged)?;
        Ok((tree, hash(&self.chain)?))
    }

    pub(super) fn pairs(&self) -> Result<Pairs, ResumeError> {
        let open = |(seq, began): &(u64, String)| Some((*seq, Moment::parse(began)?));
        let open = self.open.iter().map(open).collect::<Option<_>>().ok_or(ResumeError::Damaged)?;
        Ok(Pairs { open, unknown: self.unknown.iter().copied().collect() })
    }

    fn last(&self) -> Result<Last, ResumeError> {
        let last = || {
            Some(Last {
                number: self.anchor.number,
                size: self.size,
                checkpoint: digest(&self.checkpoint)?,
                meta: digest(&self.meta)?,
                made_at: Moment::parse(&self.made_at)?,
                next_due: Moment::parse(&self.next_due)?,
            })
        };
        last().ok_or(ResumeError::Damaged)
    }

    fn key(&self) -> Result<PublicKey, ResumeError> {
        let der = STANDARD.decode(&self.key).map_err(|_| ResumeError::Damaged)?;
        PublicKey::from_spki(&der).map_err(|_| ResumeError::Damaged)
    }

    /// Lets the check of the anchors go on from this one.
    pub(super) fn take_up(&self, anchors: &mut Anchors<'_>) -> Result<Known, ResumeError> {
        let (epoch, last) = (self.anchor.epoch, self.last()?);
        let known = Known { epoch, last: last.clone(), was_seen: false };
        anchors.resume(epoch, last, self.key()?);
        Ok(known)
    }
}

/// The anchor at which an earlier check ended.
pub(super) struct Known {
    epoch: u64,
    last: Last,
    was_seen: bool,
}

impl Known {
    /// Takes out of a page what was checked before.
    pub(super) fn pass(&mut self, page: &mut Vec<GivenAnchor>, findings: &mut Findings) {
        let (epoch, number) = (self.epoch, self.last.number);
        page.retain(|given| {
            if (given.epoch, given.number) == (epoch, number) {
                self.was_seen = true;
                let digests = (Note::digest(&given.checkpoint), Note::digest(&given.meta));
                if digests != (self.last.checkpoint, self.last.meta) {
                    let detail = "not the anchor that an earlier check saw";
                    findings.add(Finding::anchor(Code::Link, epoch, number, detail));
                }
            }
            given.epoch == 0 || (given.epoch, given.number) > (epoch, number)
        });
    }

    pub(super) const fn was_seen(&self) -> bool {
        self.was_seen
    }
}
