//! Checks evidence about a log against what an auditor trusts: "Verifying" of `docs/audit-format.md`,
//! step by step. One engine for files and for a database: both are [`Evidence`].
//!
//! Memory is constant but for one entry for each anchor that says something new, intents without an
//! outcome, and personal values that are not there.

mod anchors;
mod bucket;
mod epochs;
mod facts;
mod page;
mod pairs;
mod report;
mod resume;
mod show;
mod tiles;
mod values;
mod walk;

use rayon::prelude::*;
use time::{Duration, OffsetDateTime};

pub use bucket::{Shelf, parse_key};
pub use page::{Page, StoredRecord};
pub use report::{AnchorRef, Anchoring, Break, Code, Finding, Report, Tail, Values, Verdict};
pub use resume::{Resume, ResumeError};

use super::chain::{self, Hash};
use super::key::PublicKey;
use super::moment::Moment;
use super::note::Note;
use super::tree::Frontier;
use super::trust::{Trust, TrustError};
use anchors::{Anchors, Run};
use facts::Facts;
use report::Findings;
use tiles::Checked;
use walk::Walk;

/// An intent may be without an outcome for so long before it counts as interrupted.
const IN_FLIGHT: Duration = Duration::minutes(5);
/// Interrupted intents that are named.
const NAMED: usize = 100;

/// Where the evidence comes from. The engine asks for it in order: anchors, tiles, then records with
/// the values that belong to them.
pub trait Evidence: Send {
    /// Why it could not be read.
    type Error: From<Unusable> + Send;

    /// What the evidence says of itself.
    fn claim(&self) -> &Claim;

    /// The next anchors by epoch and number, as many as suit the source; none at the end.
    ///
    /// # Errors
    /// When they cannot be read: the check is not made then.
    fn anchors(&mut self) -> Result<Vec<GivenAnchor>, Self::Error>;

    /// Number of leaves of the tree that the tiles are of; 0 when there are no tiles. Asked for only
    /// when the claim is about a bucket.
    ///
    /// # Errors
    /// When it cannot be read.
    fn tree_size(&mut self) -> Result<u64, Self::Error>;

    /// The bytes of the widest tile of that level and index; none when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn tile(&mut self, level: u32, index: u64) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Passes over that many records at the begin of the range: they were checked before.
    ///
    /// # Errors
    /// When they cannot be read.
    fn skip(&mut self, records: u64) -> Result<(), Self::Error>;

    /// Adds the next records to an empty page; leaves it empty at the end.
    ///
    /// # Errors
    /// When they cannot be read.
    fn records(&mut self, page: &mut Page) -> Result<(), Self::Error>;

    /// The next personal value, by record and name; none at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    fn value(&mut self) -> Result<Option<GivenValue>, Self::Error>;

    /// What the source found by itself while it was read, such as files that are not what they should
    /// be. Asked for once, at the end.
    ///
    /// # Errors
    /// When the rest cannot be read.
    fn findings(&mut self) -> Result<Vec<Finding>, Self::Error>;
}

/// What the check was to be made with, and cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The trust file.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// What an earlier check left.
    #[error(transparent)]
    Resume(#[from] ResumeError),
}

/// What evidence says of itself. Nothing of it is believed before it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name of the log.
    pub origin: String,
    /// First record of the range.
    pub first: u64,
    /// Last record of the range.
    pub last: u64,
    /// The end of the whole log: number of the last record, chain value after it. None for a database
    /// without a head.
    pub head: Option<(u64, Hash)>,
    /// When the evidence was gathered; anchors made later may cover more. None: no anchor may.
    pub made_at: Option<Moment>,
    /// Whether personal values are part of it.
    pub values: bool,
    /// Whether anchors come from elsewhere than the tiles: a bucket or a copy of one.
    pub is_bucket: bool,
    /// Whether it is a database, not an export.
    pub is_database: bool,
    /// A signature over the claim: the bytes of the note, and the text that it must have.
    pub note: Option<(Vec<u8>, String)>,
}

/// An anchor as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenAnchor {
    /// Its epoch, from 1; 0 when that cannot be read.
    pub epoch: u64,
    /// Its number, from 1; 0 when that cannot be read.
    pub number: u64,
    /// The note of the checkpoint.
    pub checkpoint: Vec<u8>,
    /// The note of the metadata.
    pub meta: Vec<u8>,
}

/// A personal value as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenValue {
    /// The record that it belongs to; none when the line is no such value.
    pub seq: Option<u64>,
    /// Its name, such as `src_ip`.
    pub name: String,
    /// Its salt.
    pub salt: [u8; 16],
    /// The value.
    pub value: String,
}

/// What to ask for besides what the format asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time of the check.
    pub now: OffsetDateTime,
    /// How old the last anchor may be.
    pub expect_fresh: Option<Duration>,
    /// Threads that check records; 0 for one for each core.
    pub jobs: usize,
    /// Where an earlier check ended.
    pub resume: Option<Resume>,
    /// The record to begin at, one behind the size of an anchor: what is before is not looked at.
    pub since: Option<u64>,
}

impl Options {
    /// Nothing more than the format asks for.
    #[must_use]
    pub const fn new(now: OffsetDateTime) -> Self {
        Self { now, expect_fresh: None, jobs: 0, resume: None, since: None }
    }
}

/// What a check gives.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was found.
    pub report: Report,
    /// From where a later check can go on; none when it must begin anew.
    pub resume: Option<Resume>,
}

/// Checks all of the evidence. `progress` is told how many records are done, and of how many.
///
/// # Errors
/// When the check could not be made; nothing is known then.
pub fn verify<E: Evidence>(
    evidence: &mut E,
    trust: &Trust,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Outcome, E::Error> {
    // Without threads of its own the check uses those that there are.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.jobs).build().ok();
    let claim = evidence.claim().clone();
    let mut findings = Findings::default();
    let (first, last) = range(&claim, trust, options, &mut findings)?;
    let is_from_begin = claim.first <= 1 && options.resume.is_none();
    let mut anchors = Anchors::new(trust, options, is_from_begin, claim.made_at).map_err(Unusable::from)?;
    read_anchors(evidence, options, (&mut anchors, &mut findings), pool.as_ref())?;
    let checked = within(pool.as_ref(), || tiles::check(evidence, &anchors.runs, (first, last)))?;
    let mut walk = Walk::new(anchors, findings, (first, last));
    walk.has_values = claim.values;
    let tree = match checked {
        Checked::Unused => None,
        Checked::Bad(detail) => {
            walk.findings.add(Finding::whole(Code::Tile, detail));
            None
        }
        Checked::Good(mut leaves) => {
            let base = leaves.base.take();
            walk.leaves = Some(leaves);
            base
        }
    };
    begin(&mut walk, trust, options, tree)?;
    if claim.head.is_none() {
        walk.forget_stored();
    }
    let passed = first - claim.first.max(1);
    if passed > 0 {
        evidence.skip(passed)?;
    }
    walk.values.pass(claim.first.max(1)..first);
    read_records(evidence, &mut walk, trust, pool.as_ref(), progress)?;
    finish(evidence, walk, trust, options)
}

fn within<T: Send>(pool: Option<&rayon::ThreadPool>, work: impl FnOnce() -> T + Send) -> T {
    match pool {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// The range to check, and what is wrong with the claim.
fn range<E: From<Unusable>>(
    claim: &Claim,
    trust: &Trust,
    options: &Options,
    findings: &mut Findings,
) -> Result<(u64, u64), E> {
    let mut wrong = |detail: String| findings.add(Finding::whole(Code::Manifest, detail));
    if claim.origin != trust.origin {
        wrong(format!("it is about the log {:?}, not about {}", claim.origin, trust.origin));
    }
    let is_beyond = claim.head.is_some_and(|(head, _)| claim.last > head) && !claim.is_database;
    if claim.first == 0 || claim.last.saturating_add(1) < claim.first || is_beyond {
        wrong(format!("the range {} to {} is none of this log", claim.first, claim.last));
    }
    let mut first = claim.first.max(1).max(options.since.unwrap_or(1));
    if let Some(resume) = &options.resume {
        resume.fits(trust, claim).map_err(Unusable::from)?;
        first = resume.size + 1;
    }
    // Far beyond any log, and with room to count on.
    Ok((first, claim.last.clamp(first - 1, u64::MAX >> 1)))
}

fn read_anchors<E: Evidence>(
    evidence: &mut E,
    options: &Options,
    (anchors, findings): (&mut Anchors<'_>, &mut Findings),
    pool: Option<&rayon::ThreadPool>,
) -> Result<(), E::Error> {
    let mut known = match &options.resume {
        Some(resume) => Some(resume.take_up(anchors).map_err(Unusable::from)?),
        None => None,
    };
    loop {
        let mut page = evidence.anchors()?;
        if page.is_empty() {
            break;
        }
        if let Some(known) = &mut known {
            known.pass(&mut page, findings);
        }
        within(pool, || anchors.page(&page, findings));
    }
    if known.is_some_and(|known| !known.was_seen()) {
        return Err(Unusable::from(ResumeError::Anchor).into());
    }
    Ok(())
}

/// Finds tree and chain before the first record.
fn begin(walk: &mut Walk<'_>, trust: &Trust, options: &Options, tree: Option<Frontier>) -> Result<(), Unusable> {
    if let Some(resume) = &options.resume {
        walk.epoch = resume.anchor.epoch;
        walk.pairs = resume.pairs()?;
        let (tree, chain) = resume.state()?;
        walk.begin(Some(tree), Some(chain));
        return Ok(());
    }
    if walk.first == 1 {
        walk.begin(Some(Frontier::default()), Some(chain::genesis(&trust.origin)));
        return Ok(());
    }
    let root = tree.as_ref().map(Frontier::root);
    let fits = |run: &&Run| run.size == walk.first - 1 && root.is_none_or(|root| root == run.root);
    let base = walk.anchors.runs.iter().rev().find(fits).map(|run| (run.epoch, run.chain));
    if base.is_none() {
        let detail = format!("no anchor covers just the {} records before the range", walk.first - 1);
        walk.findings.add(Finding::whole(Code::Base, detail));
    }
    walk.epoch = base.map(|(epoch, _)| epoch).or_else(|| walk.anchors.runs.first().map(|run| run.epoch)).unwrap_or(1);
    walk.begin(tree, base.map(|(_, chain)| chain));
    Ok(())
}

fn read_records<E: Evidence>(
    evidence: &mut E,
    walk: &mut Walk<'_>,
    trust: &Trust,
    pool: Option<&rayon::ThreadPool>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), E::Error> {
    let total = (walk.last + 1).saturating_sub(walk.first);
    let (mut page, mut next) = (Page::default(), Page::default());
    evidence.records(&mut page)?;
    while !page.is_empty() {
        let lines = page.lines();
        next.clear();
        // The next page is read while this one is checked.
        let check = || lines.par_iter().with_min_len(64).map(|line| Facts::of(line, &trust.origin)).collect::<Vec<_>>();
        let (facts, read) = within(pool, || rayon::join(check, || evidence.records(&mut next)));
        for (facts, line) in facts.into_iter().zip(&lines) {
            walk.record(facts, line.stored, evidence)?;
        }
        read?;
        std::mem::swap(&mut page, &mut next);
        progress(walk.count.min(total), total);
    }
    Ok(())
}

fn finish<E: Evidence>(
    evidence: &mut E,
    mut walk: Walk<'_>,
    trust: &Trust,
    options: &Options,
) -> Result<Outcome, E::Error> {
    let claim = evidence.claim().clone();
    walk.remember();
    if walk.expected <= walk.last {
        walk.miss(walk.last, evidence)?;
    }
    let is_whole = claim.head.is_none_or(|(head, _)| claim.last >= head);
    walk.look_above(is_whole);
    walk.look_at_anchors();
    if claim.is_database {
        walk.look_at_head(claim.head);
    } else if let Some((head, value)) = claim.head
        && head == walk.expected - 1
        && walk.chain.is_some_and(|chain| chain != value)
    {
        walk.findings.add(Finding::whole(Code::Manifest, "the chain has another value at the head"));
    }
    if claim.values {
        let (lost, findings) = (&walk.lost, &mut walk.findings);
        walk.values.finish(is_whole, lost, evidence, findings)?;
    }
    for finding in evidence.findings()? {
        walk.findings.add(finding);
    }
    if let Some((bytes, text)) = &claim.note
        && !is_signed(bytes, text, &walk.anchors, trust)
    {
        walk.findings.add(Finding::whole(Code::Manifest, "its signature is not that of the key in force"));
    }
    look_at_last(&mut walk, &claim, options);
    if walk.count == 0 && options.resume.is_none() {
        walk.findings.add(Finding::whole(Code::Empty, "there are no records"));
    }
    walk.look_at_silence();
    Ok(sum_up(walk, &claim, trust, options, is_whole))
}

fn is_signed(bytes: &[u8], text: &str, anchors: &Anchors<'_>, trust: &Trust) -> bool {
    let Ok(note) = Note::parse(bytes) else { return false };
    let by = |key: &PublicKey, name: &str| note.is_signed_by(name, key);
    note.text == text
        && match anchors.at_gathering() {
            Some((key, name)) => by(key, &name),
            None => anchors.trusted().iter().any(|key| by(key, &trust.origin)),
        }
}

/// Whether there is an anchor, and it and the evidence are as fresh as was asked for.
fn look_at_last(walk: &mut Walk<'_>, claim: &Claim, options: &Options) {
    let oldest = options.expect_fresh.map(|limit| Moment::of(options.now - limit));
    if let Some((made_at, oldest)) = claim.made_at.zip(oldest)
        && made_at < oldest
    {
        let detail = format!("exported at {made_at}, longer ago than was asked for");
        walk.findings.add(Finding::whole(Code::Stale, detail));
    }
    let Some((epoch, last)) = walk.anchors.newest() else {
        let detail = if walk.anchors.given == 0 { "there are no anchors" } else { "no anchor is good" };
        return walk.findings.add(Finding::whole(Code::Unanchored, detail));
    };
    if oldest.is_some_and(|oldest| last.made_at < oldest) {
        let (number, detail) = (last.number, format!("made at {}, longer ago than was asked for", last.made_at));
        walk.findings.add(Finding::anchor(Code::Stale, epoch, number, detail));
    }
}

fn sum_up(mut walk: Walk<'_>, claim: &Claim, trust: &Trust, options: &Options, is_whole: bool) -> Outcome {
    let breaks = walk.epochs.breaks(trust, &mut walk.findings);
    let matched = walk.anchors.runs.iter().filter(|run| run.seen.is_match && !walk.epochs.is_lost(run));
    let mut last_good = options.resume.as_ref().map(|resume| resume.anchor);
    let mut covered = last_good.map_or(0, |anchor| anchor.size);
    for run in matched {
        covered = covered.max(run.size);
        last_good = Some(AnchorRef { epoch: run.epoch, number: run.last, size: run.size });
    }
    let end = walk.expected - 1;
    let before_bad = walk.findings.first_bad_record().map_or(u64::MAX, |bad| bad.saturating_sub(1));
    // What an earlier check went through is good as well; what was passed over on request is not.
    let first = if options.resume.is_some() { claim.first.max(1) } else { walk.first };
    let good_until = Some(covered.min(end).min(before_bad)).filter(|good| *good >= first).unwrap_or(0);
    let verdict = walk.findings.verdict();
    let resume = Resume::after(&walk, trust, verdict);
    let not_checked = not_checked(&walk, claim, options, is_whole);
    let mut anchoring = walk.anchors.told.clone();
    if let Some((_, last)) = walk.anchors.newest() {
        (anchoring.made_at, anchoring.next_due) = (Some(last.made_at.to_string()), Some(last.next_due.to_string()));
    }
    anchoring.signer = walk.anchors.in_force().map(|key| hex::encode(key.fingerprint()));
    let before = Moment::of(options.now - IN_FLIGHT);
    let (interrupted, in_flight): (Vec<_>, Vec<_>) = walk.pairs.open.iter().partition(|(_, began)| **began < before);
    let report = Report {
        verdict,
        origin: trust.origin.clone(),
        first_bad_record: walk.findings.first_bad_record(),
        first_bad_anchor: walk.findings.first_bad_anchor(),
        good_until,
        last_good_anchor: last_good,
        first,
        last: end,
        exported_at: claim.made_at.map(|made_at| made_at.to_string()),
        records: walk.count,
        anchors: walk.anchors.given,
        chain: walk.chain.map(hex::encode),
        anchoring,
        tail: walk.tail,
        values: claim.values.then_some(walk.values.told),
        breaks,
        interrupted_total: count(interrupted.len()),
        interrupted: interrupted.into_iter().take(NAMED).map(|(seq, _)| *seq).collect(),
        in_flight: count(in_flight.len()),
        not_checked,
        findings_total: walk.findings.total(),
        findings: walk.findings.into_list(),
    };
    Outcome { report, resume }
}

fn not_checked(walk: &Walk<'_>, claim: &Claim, options: &Options, is_whole: bool) -> Vec<String> {
    let mut not = vec!["events that the gateway never wrote".to_owned()];
    let mut add = |is: bool, text: String| {
        if is {
            not.push(text);
        }
    };
    let first = claim.first.max(1);
    add(first > 1, format!("records 1 to {}, before the range", first - 1));
    let why =
        if options.resume.is_some() { "which an earlier check went through" } else { "before what was asked for" };
    add(walk.first > first, format!("records {first} to {}, {why}", walk.first - 1));
    let head = claim.head.map_or(0, |(head, _)| head);
    add(!is_whole, format!("records {} to {head}, after the range", claim.last.saturating_add(1)));
    if let Some(size) = walk.anchors.told.later_size {
        add(true, format!("records {} to {size}, which anchors made after the export cover", walk.last + 1));
    }
    add(!claim.values, "personal values, which were not given".to_owned());
    let missing = walk.values.missing();
    add(!is_whole && missing > 0, format!("whether {missing} personal values were erased after the range"));
    add(options.expect_fresh.is_none(), "how old the last anchor may be (--expect-fresh)".to_owned());
    add(!claim.is_bucket, "whether the bucket holds other anchors than these".to_owned());
    not
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
