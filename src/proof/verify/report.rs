//! What a check came to: verdict, findings, and what is told besides.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Findings that are kept in full of each code; all are counted.
const KEPT: u64 = 100;

/// What a check came to. Three, because absence of evidence is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All of it is there, unchanged and anchored as promised.
    Verified,
    /// Nothing contradicts, but something is missing, late or unknown.
    Incomplete,
    /// Something contradicts something else.
    Tampered,
}

impl Verdict {
    /// Exit code when the check could not be made.
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

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Verified => "verified",
            Self::Tampered => "tampered",
            Self::Incomplete => "incomplete",
        })
    }
}

/// What was found: the table of `docs/audit-format.md`, "Verifying".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    /// A file of the bundle is missing, too many, or other than the manifest says.
    File,
    /// The manifest contradicts what is there.
    Manifest,
    /// Bytes outside the profile, or without a time.
    Profile,
    /// A version of the format that this program does not know.
    Version,
    /// Records are missing from this one on.
    Missing,
    /// A record that is out of place.
    Number,
    /// Not the record that was anchored.
    Leaf,
    /// Record 1 does not begin this log.
    Begin,
    /// The chain value at the anchor's size is another.
    Chain,
    /// The root at the anchor's size is another.
    Root,
    /// The tiles do not give the root of the last good anchor.
    Tile,
    /// An outcome whose intent is not there or had an outcome already.
    Outcome,
    /// A personal value that does not match its commitment.
    Private,
    /// A personal value that is missing without a record of its erasure.
    Unerased,
    /// A note or its text is malformed.
    Note,
    /// Not signed by the key in force.
    Signature,
    /// Metadata contradicts the checkpoint, its number or the trusted store.
    Anchor,
    /// The hashes of the anchor before do not fit.
    Link,
    /// Size or time goes back.
    Backwards,
    /// The bucket holds a second version or a delete marker.
    Versions,
    /// An epoch that no record declares, or a declaration that does not fit.
    Epoch,
    /// A declared break that the trust file does not accept.
    Break,
    /// Anchors are missing.
    Gap,
    /// No anchors at all, or none that is good.
    Unanchored,
    /// The range has no good base.
    Base,
    /// Records after the last anchor that are later than its promise.
    Tail,
    /// The last anchor is older than was asked for.
    Stale,
    /// An anchor that was made in the future.
    Future,
    /// No records.
    Empty,
    /// In a database: a stored hash or a searchable column differs from the record's bytes.
    Column,
    /// In a database: the head does not fit the last record.
    Head,
}

impl Code {
    /// What a finding of this code makes of the evidence.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Version
            | Self::Break
            | Self::Gap
            | Self::Unanchored
            | Self::Base
            | Self::Tail
            | Self::Stale
            | Self::Future
            | Self::Empty => Verdict::Incomplete,
            Self::File
            | Self::Manifest
            | Self::Profile
            | Self::Missing
            | Self::Number
            | Self::Leaf
            | Self::Begin
            | Self::Chain
            | Self::Root
            | Self::Tile
            | Self::Outcome
            | Self::Private
            | Self::Unerased
            | Self::Note
            | Self::Signature
            | Self::Anchor
            | Self::Link
            | Self::Backwards
            | Self::Versions
            | Self::Epoch
            | Self::Column
            | Self::Head => Verdict::Tampered,
        }
    }
}

/// The word of the table.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub code: Code,
    /// The record that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// The anchor that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<u64>,
    /// The epoch of that anchor, or the epoch that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// In words.
    pub detail: String,
}

impl Finding {
    /// About the evidence as a whole.
    #[must_use]
    pub fn whole(code: Code, detail: impl Into<String>) -> Self {
        Self { code, record: None, anchor: None, epoch: None, detail: detail.into() }
    }

    /// About a record.
    #[must_use]
    pub fn record(code: Code, record: u64, detail: impl Into<String>) -> Self {
        Self { record: Some(record), ..Self::whole(code, detail) }
    }

    /// About an anchor.
    #[must_use]
    pub fn anchor(code: Code, epoch: u64, anchor: u64, detail: impl Into<String>) -> Self {
        Self { anchor: Some(anchor), epoch: Some(epoch), ..Self::whole(code, detail) }
    }
}

/// Names an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorRef {
    /// Its epoch.
    pub epoch: u64,
    /// Its number in the epoch.
    pub number: u64,
    /// Records that it covers.
    pub size: u64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it came to.
    pub verdict: Verdict,
    /// The name of the log.
    pub origin: String,
    /// Lowest number in the findings about records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bad_record: Option<u64>,
    /// Lowest number in the findings about anchors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bad_anchor: Option<u64>,
    /// The records from the first to this one are known good; 0 when none is.
    pub good_until: u64,
    /// The last good anchor that matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good_anchor: Option<AnchorRef>,
    /// First record of the range.
    pub first: u64,
    /// Last record of the range.
    pub last: u64,
    /// When the evidence was gathered, by its own word; absent for a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported_at: Option<String>,
    /// Records that were given.
    pub records: u64,
    /// Anchors that were given.
    pub anchors: u64,
    /// Findings, the most serious first, at most a hundred of each code.
    pub findings: Vec<Finding>,
    /// All findings.
    pub findings_total: u64,
    /// Chain value after the last record, lower-case hex; absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// About the anchors.
    pub anchoring: Anchoring,
    /// What is not covered by an anchor.
    pub tail: Tail,
    /// About personal values; absent when they were not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Values>,
    /// Breaks that records declare.
    pub breaks: Vec<Break>,
    /// Intents older than five minutes without an outcome, at most the first hundred. This is what a
    /// crash leaves, and no sign of tampering.
    pub interrupted: Vec<u64>,
    /// All such intents.
    pub interrupted_total: u64,
    /// Younger intents without an outcome.
    pub in_flight: u64,
    /// What this check could not say.
    pub not_checked: Vec<String>,
}

/// How the anchors were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Anchoring {
    /// Whether a software key or a folder stands in for KMS and S3: proves nothing to outsiders.
    pub development: bool,
    /// Fingerprint, in hex, of the key in force at the end; absent when no anchor is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Good ones.
    pub good: u64,
    /// Those made after the one before had promised.
    pub late: u64,
    /// Longest time between two, in seconds.
    pub longest_s: u64,
    /// When the last good one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_at: Option<String>,
    /// Until when that one promised the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_due: Option<String>,
    /// Records that anchors cover which were made after the evidence was gathered, where these are more than
    /// it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub later_size: Option<u64>,
    /// Largest difference between when an anchor says it was made and when the bucket says it was
    /// written, in seconds; known only where the bucket itself was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_s: Option<u64>,
}

/// The records after the last good anchor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tail {
    /// How many.
    pub records: u64,
    /// Time of the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

/// The personal values beside the records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Values {
    /// Commitments in the records.
    pub committed: u64,
    /// Values that match theirs.
    pub matched: u64,
    /// Values that were erased, as records say.
    pub erased: u64,
}

/// A break that a record declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Break {
    /// The epoch that it began.
    pub epoch: u64,
    /// The record that declares it.
    pub record: u64,
    /// Records up to this one were kept.
    pub kept: u64,
    /// Records up to this one had been anchored before it.
    pub lost: u64,
    /// Whether the trust file accepts it.
    pub accepted: bool,
}

/// Findings as they come, in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    counts: BTreeMap<Code, u64>,
    first_bad_record: Option<u64>,
    first_bad_anchor: Option<u64>,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        let lower = |known: Option<u64>, new: Option<u64>| known.into_iter().chain(new).min();
        self.first_bad_record = lower(self.first_bad_record, finding.record);
        self.first_bad_anchor = lower(self.first_bad_anchor, finding.anchor);
        let count = self.counts.entry(finding.code).or_default();
        *count += 1;
        if *count <= KEPT {
            self.kept.push(finding);
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        self.counts.keys().map(|code| code.verdict()).max().unwrap_or(Verdict::Verified)
    }

    pub(super) const fn first_bad_record(&self) -> Option<u64> {
        self.first_bad_record
    }

    pub(super) const fn first_bad_anchor(&self) -> Option<u64> {
        self.first_bad_anchor
    }

    /// How many there were.
    pub(super) fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Those that were kept.
    pub(super) fn into_list(mut self) -> Vec<Finding> {
        self.kept.sort_by_key(|finding| (std::cmp::Reverse(finding.code.verdict()), finding.record, finding.anchor));
        self.kept
    }
}
