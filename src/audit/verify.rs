//! Checks a log from what is stored and nothing else: every byte of every record, the chain, the
//! head, the searchable columns, and that intents and outcomes pair up. Needs no secret.
//!
//! Three verdicts, because absence of evidence is no evidence: an empty log is never "verified".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use time::{Duration, OffsetDateTime};

use super::record::{VERSION, column, timestamp};
use crate::proof::canonical::{self, Raw, Scalar};
use crate::proof::chain::{self, Hash};
use crate::store::{ABSENT, Ends, JOIN, Link, Record, Store, StoreError};

/// Rows per read: enough to keep the database busy, little enough to stay small in memory.
const PAGE: u64 = 1_000;
/// Findings that are kept in full; all are counted.
const KEPT: usize = 100;
/// Runs of lost records that are remembered.
const LOST: usize = 1_000;
/// An intent may be without an outcome for so long before it counts as interrupted.
const IN_FLIGHT: Duration = Duration::minutes(5);

/// What a check came to, with the exit code that commands give it. 3 is left for checks that
/// could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything that must be there is there and unchanged.
    Verified,
    /// Something was changed, removed, or put in.
    Tampered,
    /// There is nothing to check, or something that this version cannot check.
    Incomplete,
}

impl Verdict {
    /// Exit code when the check itself failed: nothing is known.
    pub const COULD_NOT_RUN: u8 = 3;

    /// The exit code: 0 verified, 1 tampered, 2 incomplete.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Tampered => 1,
            Self::Incomplete => 2,
        }
    }
}

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// Records are missing before this one.
    Gap,
    /// The log does not begin with the record that names it.
    Begin,
    /// The bytes are not those that were hashed.
    Bytes,
    /// The bytes are no record of the format.
    Profile,
    /// The number in the bytes is not the number of the record.
    Number,
    /// A version of the format that this program does not know.
    Version,
    /// The chain value does not follow from the one before.
    Chain,
    /// A searchable column differs from the bytes.
    Columns,
    /// An outcome whose intent is not there or had an outcome already.
    Outcome,
    /// The head does not match the last record.
    Head,
    /// Records that the head promises are missing at the end.
    Tail,
    /// The log does not pass through a point that was known before, or has another name.
    Known,
}

/// One piece of damage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The record.
    pub seq: u64,
    /// What is wrong.
    pub damage: Damage,
    /// In words.
    pub detail: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it came to.
    pub verdict: Verdict,
    /// The name of the log.
    pub origin: Option<String>,
    /// Records that were read.
    pub records: u64,
    /// Records 1 to this one are known good; 0 when none is.
    pub good_until: u64,
    /// The last record that was read.
    pub last: u64,
    /// Chain value after the last record, lower-case hex. Whoever keeps it with `last` can later
    /// show that the log was only added to.
    pub chain: String,
    /// Damage, in order, at most the first 100.
    pub findings: Vec<Finding>,
    /// All damage.
    pub findings_total: u64,
    /// Intents older than five minutes without an outcome, at most the first 100. This is what a
    /// crash leaves, and no sign of tampering.
    pub interrupted: Vec<u64>,
    /// All such intents.
    pub interrupted_total: u64,
    /// Younger intents without an outcome.
    pub in_flight: u64,
}

/// What a log is checked against besides itself.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The name that it must have.
    pub origin: Option<String>,
    /// Points that it must pass through, from earlier reports.
    pub known: Vec<Link>,
}

/// Checks the log in a database while it may be written to: all that was there at the start.
/// `progress` is told how many records are done, and of how many.
///
/// # Errors
/// [`StoreError`] when the check could not be made; nothing is known then.
pub async fn verify(
    store: &Store,
    options: VerifyOptions,
    now: OffsetDateTime,
    mut progress: impl FnMut(u64, u64),
) -> Result<Report, StoreError> {
    let ends = store.ends().await?;
    let total = ends.last.max(ends.head.as_ref().map_or(0, |(_, head)| head.seq));
    let mut verifier = Verifier::new(ends, options);
    let mut next = fetch(store, 0);
    loop {
        let page = next.await.map_err(|_| StoreError::unavailable("the gateway is shutting down"))??;
        let Some(last) = page.last().map(|record| record.seq) else { break };
        next = fetch(store, last);
        // Hashing would hold up the statements of others on the store's own threads.
        let check = move || {
            page.iter().filter(|record| record.seq <= total).for_each(|record| verifier.push(record));
            verifier
        };
        let checked = store.runtime().spawn_blocking(check).await;
        verifier = checked.map_err(|_| StoreError::unavailable("the gateway is shutting down"))?;
        progress(last.min(total), total);
        if last >= total {
            break;
        }
    }
    Ok(verifier.finish(now))
}

/// The next page, read while the one before is checked.
fn fetch(store: &Store, after: u64) -> tokio::task::JoinHandle<Result<Vec<Record>, StoreError>> {
    let reader = store.clone();
    store.runtime().spawn(async move { reader.records_after(after, PAGE).await })
}

/// Checks records one after another, in constant memory but for intents that are open.
#[derive(Debug)]
pub struct Verifier {
    ends: Ends,
    options: VerifyOptions,
    /// Chain value after the last record as it is stored, so that one break is one finding.
    link: Option<Hash>,
    last: u64,
    records: u64,
    first_bad: Option<u64>,
    findings: Vec<Finding>,
    findings_total: u64,
    tampered: bool,
    /// Open intents and when they began.
    open: BTreeMap<u64, String>,
    /// Intents whose process was taken for dead; their true outcome may still follow.
    unknown: BTreeSet<u64>,
    /// Records that are missing or cannot be read, first and last of each run. An outcome that
    /// refers to one of them is no further damage.
    lost: Vec<(u64, u64)>,
}

/// What is read out of the bytes of one record.
#[derive(Default)]
struct Fields<'a> {
    seq: Option<i64>,
    version: Option<i64>,
    ts: Option<Raw<'a>>,
    kind: Option<Raw<'a>>,
    request_id: Option<Raw<'a>>,
    actor: Option<Raw<'a>>,
    action: Option<Raw<'a>>,
    resource: Option<Raw<'a>>,
    decision: Option<Raw<'a>>,
    instance: Option<Raw<'a>>,
    result: Option<Raw<'a>>,
    origin: Option<Raw<'a>>,
    intent: Option<i64>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, outer: &str, key: &str, scalar: Scalar<'a>) {
        match (outer, key, scalar) {
            ("", "seq", Scalar::Integer(n)) => self.seq = Some(n),
            ("", "v", Scalar::Integer(n)) => self.version = Some(n),
            ("", "intent", Scalar::Integer(n)) => self.intent = Some(n),
            ("", "ts", Scalar::Text(t)) => self.ts = Some(t),
            ("", "kind", Scalar::Text(t)) => self.kind = Some(t),
            ("", "req", Scalar::Text(t)) => self.request_id = Some(t),
            ("", "action", Scalar::Text(t)) => self.action = Some(t),
            ("", "resource", Scalar::Text(t)) => self.resource = Some(t),
            ("", "decision", Scalar::Text(t)) => self.decision = Some(t),
            ("", "instance", Scalar::Text(t)) => self.instance = Some(t),
            ("", "result", Scalar::Text(t)) => self.result = Some(t),
            ("actor", "id", Scalar::Text(t)) => self.actor = Some(t),
            ("detail", "origin", Scalar::Text(t)) => self.origin = Some(t),
            _ => {}
        }
    }

    /// Whether the stored columns are those of the bytes.
    fn match_columns(&self, stored: &str) -> bool {
        let texts =
            [self.ts, self.kind, self.request_id, self.actor, self.action, self.resource, self.decision, self.instance];
        let mut columns = stored.split(JOIN);
        texts.into_iter().all(|text| columns.next().is_some_and(|stored| match_text(text, stored)))
            && columns.next().is_some_and(|stored| match self.intent {
                Some(seq) => stored == seq.to_string(),
                None => is_absent(stored),
            })
            && columns.next().is_none()
    }

    fn is_kind(&self, kind: &str) -> bool {
        self.kind.is_some_and(|raw| raw.text() == kind)
    }
}

fn is_absent(stored: &str) -> bool {
    stored.len() == ABSENT.len_utf8() && stored.starts_with(ABSENT)
}

fn match_text(text: Option<Raw<'_>>, stored: &str) -> bool {
    match text {
        None => is_absent(stored),
        Some(raw) => raw.is(stored) || column(&raw.text()) == stored,
    }
}

impl Verifier {
    /// Begins a check of a log that ends as `ends` says.
    #[must_use]
    pub fn new(ends: Ends, options: VerifyOptions) -> Self {
        let link = ends.head.as_ref().map(|(origin, _)| chain::genesis(origin));
        let mut this = Self {
            ends,
            options,
            link,
            last: 0,
            records: 0,
            first_bad: None,
            findings: Vec::new(),
            findings_total: 0,
            tampered: false,
            open: BTreeMap::new(),
            unknown: BTreeSet::new(),
            lost: Vec::new(),
        };
        this.options.known.sort_by_key(|link| std::cmp::Reverse(link.seq));
        this
    }

    /// Checks the next record.
    pub fn push(&mut self, record: &Record) {
        self.records += 1;
        let missing = record.seq.saturating_sub(self.last + 1);
        if missing > 0 {
            self.find(
                self.last + 1,
                Damage::Gap,
                format!("{missing} records are missing before record {}", record.seq),
            );
            self.lose(self.last + 1, record.seq - 1);
            self.link = None;
        }
        self.check_chain(record);
        let mut fields = Fields::default();
        match canonical::read(&record.canon, |outer, key, scalar| fields.take(outer, key, scalar)) {
            Ok(()) => self.check_fields(record, &fields),
            Err(error) => {
                self.find(record.seq, Damage::Profile, error.to_string());
                self.lose(record.seq, record.seq);
            }
        }
        self.last = record.seq;
    }

    fn check_chain(&mut self, record: &Record) {
        let leaf = chain::leaf(&record.canon);
        let stored: Option<Hash> = record.leaf.as_slice().try_into().ok();
        if stored != Some(leaf) {
            self.find(record.seq, Damage::Bytes, "the record's bytes do not match their hash".to_owned());
        }
        // From here on with what is stored: the edit above is one finding, not one for each record after it.
        let computed = self.link.map(|link| chain::link(&link, &stored.unwrap_or(leaf)));
        let value: Option<Hash> = record.chain.as_slice().try_into().ok();
        if value.is_none() || computed.is_some_and(|computed| Some(computed) != value) {
            self.find(record.seq, Damage::Chain, "the chain breaks at this record".to_owned());
        }
        self.link = value;
        while let Some(known) = self.options.known.pop_if(|known| known.seq <= record.seq) {
            if known.seq != record.seq || Some(known.chain) != value {
                self.find(known.seq, Damage::Known, "the log does not pass through the point known before".to_owned());
            }
        }
    }

    fn check_fields(&mut self, record: &Record, fields: &Fields<'_>) {
        let seq = record.seq;
        if fields.version != i64::try_from(VERSION).ok() {
            self.lose(seq, seq);
            return self.find(seq, Damage::Version, "the record's version is not known to this program".to_owned());
        }
        if fields.seq.and_then(|n| u64::try_from(n).ok()) != Some(seq) {
            self.find(seq, Damage::Number, "the record was made under another number".to_owned());
        }
        if !fields.match_columns(&record.columns) {
            self.find(seq, Damage::Columns, "a searchable column differs from the record's bytes".to_owned());
        }
        if self.records == 1 {
            self.check_begin(seq, fields);
        }
        if fields.is_kind("intent") {
            self.open.insert(seq, fields.ts.map(|ts| ts.text().into_owned()).unwrap_or_default());
        } else if fields.is_kind("outcome") {
            self.check_outcome(seq, fields);
        }
    }

    fn check_begin(&mut self, seq: u64, fields: &Fields<'_>) {
        let Some((origin, _)) = &self.ends.head else { return };
        let named = fields.origin.is_some_and(|raw| raw.text() == origin.as_str());
        if seq == 1 && !named {
            self.find(seq, Damage::Begin, "the first record does not name this log".to_owned());
        }
    }

    fn check_outcome(&mut self, seq: u64, fields: &Fields<'_>) {
        let intent = fields.intent.and_then(|n| u64::try_from(n).ok()).unwrap_or_default();
        if self.open.remove(&intent).is_some() {
            if fields.result.is_some_and(|raw| raw.text() == "unknown") {
                self.unknown.insert(intent);
            }
        } else if !self.unknown.remove(&intent) && !self.is_lost(intent) {
            let detail = format!("intent {intent} is not there, or had an outcome already");
            self.find(seq, Damage::Outcome, detail);
        }
    }

    fn lose(&mut self, first: u64, last: u64) {
        if let Some(run) = self.lost.last_mut()
            && run.1 + 1 >= first
        {
            run.1 = last;
        } else if self.lost.len() < LOST {
            self.lost.push((first, last));
        }
    }

    fn is_lost(&self, seq: u64) -> bool {
        self.lost.iter().any(|(first, last)| (*first..=*last).contains(&seq))
    }

    fn find(&mut self, seq: u64, damage: Damage, detail: String) {
        self.findings_total += 1;
        self.tampered |= damage != Damage::Version;
        self.first_bad = Some(self.first_bad.map_or(seq, |bad| bad.min(seq)));
        if self.findings.len() < KEPT {
            self.findings.push(Finding { seq, damage, detail });
        }
    }

    /// Compares the end of the log with its head, and sums up.
    #[must_use]
    pub fn finish(mut self, now: OffsetDateTime) -> Report {
        self.check_end();
        let verdict = match (self.tampered, self.findings_total, self.records) {
            (true, _, _) => Verdict::Tampered,
            (false, 0, 1..) => Verdict::Verified,
            (false, _, _) => Verdict::Incomplete,
        };
        let before = timestamp(now - IN_FLIGHT);
        let (interrupted, in_flight): (Vec<_>, Vec<_>) = self.open.into_iter().partition(|(_, began)| *began < before);
        Report {
            verdict,
            origin: self.ends.head.map(|(origin, _)| origin),
            records: self.records,
            good_until: self.first_bad.map_or(self.last, |bad| bad.saturating_sub(1).min(self.last)),
            last: self.last,
            chain: self.link.map(hex::encode).unwrap_or_default(),
            findings: self.findings,
            findings_total: self.findings_total,
            interrupted_total: count(interrupted.len()),
            interrupted: interrupted.into_iter().take(KEPT).map(|(seq, _)| seq).collect(),
            in_flight: count(in_flight.len()),
        }
    }

    fn check_end(&mut self) {
        for known in std::mem::take(&mut self.options.known) {
            self.find(known.seq, Damage::Known, "the log ends before the point known before".to_owned());
        }
        let Some((origin, head)) = self.ends.head.clone() else {
            if self.records > 0 {
                self.find(self.last, Damage::Head, "the head of the log is missing".to_owned());
            }
            return;
        };
        if self.options.origin.as_ref().is_some_and(|expected| *expected != origin) {
            self.find(1, Damage::Known, format!("the log is named {origin}"));
        }
        match self.last.cmp(&head.seq) {
            std::cmp::Ordering::Less => {
                let missing = head.seq - self.last;
                self.find(self.last + 1, Damage::Tail, format!("{missing} records are missing at the end"));
            }
            std::cmp::Ordering::Greater => {
                self.find(head.seq + 1, Damage::Head, format!("the head stands at record {}", head.seq));
            }
            std::cmp::Ordering::Equal if self.link.is_some_and(|link| link != head.chain) => {
                self.find(self.last, Damage::Head, "the head has another chain value".to_owned());
            }
            std::cmp::Ordering::Equal => {}
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::Tampered => "tampered",
            Self::Incomplete => "incomplete",
        })
    }
}
