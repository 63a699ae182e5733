//! Checks evidence about a log against what an auditor trusts: "Verifying" of `docs/audit-format.md`,
//! step by step. One engine for files and for a database: both are [`Evidence`].
//!
//! Memory is constant but for one entry for each anchor that says something new, intents without an
//! outcome, and personal values that are not there.

mod report;

use time::{Duration, OffsetDateTime};

pub use report::{AnchorRef, Anchoring, Break, Code, Finding, Report, Tail, Values, Verdict};

use super::chain::Hash;
use super::trust::{Trust, TrustError};

/// Where the evidence comes from. The engine asks for it in order: anchors, tiles, then records with
/// the values that belong to them.
pub trait Evidence {
    /// Why it could not be read.
    type Error: From<TrustError>;

    /// What the evidence says of itself.
    fn claim(&self) -> &Claim;

    /// The next anchors by epoch and number, as many as suit the source; none at the end.
    ///
    /// # Errors
    /// When they cannot be read: the check is not made then.
    fn anchors(&mut self) -> Result<Vec<GivenAnchor>, Self::Error>;

    /// Number of leaves of the tree that the tiles are of; 0 when there are no tiles.
    ///
    /// # Errors
    /// When it cannot be read.
    fn tree_size(&mut self) -> Result<u64, Self::Error>;

    /// The bytes of the widest tile of that level and index; none when it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn tile(&mut self, level: u32, index: u64) -> Result<Option<Vec<u8>>, Self::Error>;

    /// Fills `page` with the next records; an empty one is the end.
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
    pub made_at: Option<String>,
    /// Whether personal values are part of it.
    pub values: bool,
    /// Whether anchors come from elsewhere than the tiles: a copy of a bucket, a bucket.
    pub is_bucket: bool,
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

/// Some records in order, in one buffer.
#[derive(Debug, Default)]
pub struct Page {
    bytes: Vec<u8>,
    lines: Vec<Line>,
}

/// What is known of a record besides its bytes.
#[derive(Debug)]
struct Line {
    /// Where its bytes end; they begin where those before end.
    end: usize,
    /// Its hash, where the bytes are too many to be kept.
    leaf: Option<Hash>,
    /// Whether it lacks its newline.
    is_cut: bool,
    stored: Option<StoredRecord>,
}

/// What a database says of a record besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number.
    pub seq: u64,
    /// The hash of its bytes.
    pub leaf: Vec<u8>,
    /// The chain value after it.
    pub chain: Vec<u8>,
    /// Its searchable columns by name.
    pub columns: Vec<Option<String>>,
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
}

/// Checks all of the evidence. `progress` is told how many records are done, and of how many.
///
/// # Errors
/// When the check could not be made; nothing is known then.
pub fn verify<E: Evidence>(
    _evidence: &mut E,
    _trust: &Trust,
    _options: &Options,
    _progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, E::Error> {
    Err(TrustError::NoKey.into())
}
