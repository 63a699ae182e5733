//! Evidence in files: an export as a folder or a tar archive, and a copy of the bucket. Read as a
//! stream, believed in nothing, never unpacked.

mod archive;
mod bucket;
mod lines;
mod manifest;
mod source;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::anchor::{Checkpoint, Meta};
use super::canonical::{self, MAX_INTEGER, Scalar, Value, push_value};
use super::chain;
use super::moment::Moment;
use super::note::{MAX_BYTES, Note};
use super::record_proof::RecordProof;
use super::tile::{TileId, Tiles, WIDTH, needed};
use super::tree::is_included;
use super::verify::{Claim, Code, Evidence, Finding, GivenAnchor, GivenValue, Page, Unusable};
use bucket::BucketCopy;
use lines::{Line, Lines};
use manifest::{Listed, Manifest};
use source::Source;

/// Records of one page, and their bytes.
const PAGE: (usize, usize) = (8_192, 4 << 20);
/// Anchors of one page.
const ANCHORS: usize = 256;
/// Largest manifest: one of some hundred million records.
const MANIFEST: u64 = 1 << 28;

/// Why evidence cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file system says so.
    #[error("{path} cannot be read: {cause}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// An archive that is not as it must be.
    #[error("{path} is no archive that can be trusted to say what it holds: {why}")]
    Archive {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A folder that holds what it must not.
    #[error("{0} is neither a file nor a folder, or its name is no text")]
    Odd(PathBuf),
    /// No manifest.
    #[error("{0} is no export: it has no manifest.json")]
    NoManifest(PathBuf),
    /// A manifest that cannot be read.
    #[error("manifest.json cannot be read: {0}")]
    Manifest(String),
    /// A folder without the log's anchors.
    #[error("{path} is no copy of the bucket: it has no v1/{origin}")]
    NoBucket {
        /// Which.
        path: PathBuf,
        /// The log.
        origin: String,
    },
    /// The export does not hold what was asked for.
    #[error("{0}")]
    Absent(String),
    /// What the check was to be made with.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

impl BundleError {
    fn io(path: &Path, cause: io::Error) -> Self {
        Self::Io { path: path.to_owned(), cause }
    }
}

/// Where to begin within an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Not after this record.
    Record(u64),
    /// Not after the first record of this time.
    Time(Moment),
}

/// An export, opened.
#[derive(Debug)]
pub struct Bundle {
    source: Source,
    claim: Claim,
    /// Files whose length and hash were not compared yet.
    pending: BTreeMap<String, Listed>,
    findings: Vec<Finding>,
    /// The widest tile of each level and index.
    tiles: BTreeMap<(u32, u64), (u64, String)>,
    anchors: AnchorSource,
    records: Lines,
    values: Lines,
}

#[derive(Debug)]
enum AnchorSource {
    Export(Lines),
    Copy(BucketCopy),
}

impl Bundle {
    /// Opens an export; `bucket` is a copy of the bucket, whose anchors take the place of those in it, and the
    /// name of the log that is trusted: what the export calls itself may be wrong.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn open(path: &Path, bucket: Option<(&Path, &str)>) -> Result<Self, BundleError> {
        let source = Source::open(path)?;
        let bytes = source.read("manifest.json", MANIFEST)?;
        let bytes = bytes.ok_or_else(|| BundleError::NoManifest(path.to_owned()))?;
        let manifest = Manifest::parse(&bytes).map_err(BundleError::Manifest)?;
        let mut findings = manifest.findings();
        let note = source.read("manifest.note", u64::try_from(MAX_BYTES).unwrap_or(u64::MAX))?;
        let text = format!("rack-gateway-audit-export/v1\n{}\n", hex::encode(Sha256::digest(&bytes)));
        let is_known = |name: &String| {
            ["manifest.json", "manifest.note"].contains(&name.as_str()) || manifest.files.contains_key(name)
        };
        for name in source.names().filter(|name| !is_known(name)) {
            findings.push(Finding::whole(Code::File, format!("{name:?} is there, but not listed")));
        }
        let anchors = match bucket {
            Some((folder, origin)) => AnchorSource::Copy(BucketCopy::open(folder, origin)?),
            None => AnchorSource::Export(Lines::new(&source, "anchors/")),
        };
        let values = Lines::new(&source, "private/");
        if !manifest.private && !values.is_empty() {
            findings.push(Finding::whole(Code::Manifest, "there are personal values, but it says that there are none"));
        }
        let claim = Claim {
            origin: manifest.origin,
            first: manifest.first,
            last: manifest.last,
            head: Some(manifest.head),
            made_at: Some(manifest.made_at),
            values: manifest.private,
            is_bucket: bucket.is_some(),
            is_database: false,
            note: note.map(|bytes| (bytes, text)),
        };
        let records = Lines::new(&source, "records/");
        let tiles = tiles_of(&source);
        Ok(Self { source, claim, pending: manifest.files, findings, tiles, anchors, records, values })
    }

    /// How large it is on disk, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.source.names().filter_map(|name| self.source.length(name)).sum()
    }

    /// The record to begin at: the first one behind the last anchor before `since`, that of the export
    /// when there is none. Nothing is believed of that anchor yet.
    ///
    /// # Errors
    /// When the anchors cannot be read.
    pub fn begin_for(&self, since: Since) -> Result<u64, BundleError> {
        let mut begin = self.claim.first.max(1);
        let mut look = |anchor: &GivenAnchor| {
            let note = Note::parse(&anchor.meta).ok();
            let Some(meta) = note.and_then(|note| Meta::parse(&note.text)) else { return };
            let is_before = match since {
                Since::Record(seq) => meta.size < seq,
                Since::Time(time) => meta.last_ts.as_deref().and_then(Moment::parse).is_some_and(|last| last < time),
            };
            if is_before && meta.size <= self.claim.last {
                begin = begin.max(meta.size + 1);
            }
        };
        let mut source = match &self.anchors {
            AnchorSource::Export(_) => AnchorSource::Export(Lines::new(&self.source, "anchors/")),
            AnchorSource::Copy(copy) => AnchorSource::Copy(copy.clone()),
        };
        loop {
            let page = source.next(&self.source)?;
            if page.is_empty() {
                return Ok(begin);
            }
            page.iter().for_each(&mut look);
        }
    }

    /// The proof of record `seq`, in the tree of the newest anchor of the export.
    ///
    /// # Errors
    /// When the export does not hold the record, an anchor that covers it, or the tiles between.
    pub fn prove(&mut self, seq: u64) -> Result<RecordProof, BundleError> {
        let absent = |what: String| BundleError::Absent(what);
        let mut newest = None;
        loop {
            let page = self.anchors()?;
            let Some(last) = page.into_iter().next_back() else { break };
            newest = Some(last);
        }
        let anchor = newest.ok_or_else(|| absent("this export holds no anchor".to_owned()))?;
        let note = Note::parse(&anchor.checkpoint).ok();
        let checkpoint = note.as_ref().and_then(|note| Checkpoint::parse(&note.text));
        let checkpoint = checkpoint.ok_or_else(|| absent("the last anchor of this export is none".to_owned()))?;
        if seq == 0 || checkpoint.size < seq {
            return Err(absent(format!("the last anchor of this export covers records 1 to {}", checkpoint.size)));
        }
        let record = self.record(seq)?;
        let mut tiles = Tiles::default();
        for id in needed(checkpoint.size, &[seq - 1]) {
            if let Some(bytes) = self.tile(id.level, id.index)? {
                let (hashes, _) = bytes.as_chunks::<32>();
                let width = u64::try_from(hashes.len()).unwrap_or_default();
                tiles.insert(TileId { width, ..id }, hashes.to_vec());
            }
        }
        let place = (seq - 1, checkpoint.size);
        let path = tiles.inclusion(place.0, place.1).filter(|path| {
            let leaf = chain::leaf(&record);
            is_included(&leaf, place, path, &checkpoint.root)
        });
        let path = path.ok_or_else(|| {
            absent(format!("the tiles of this export do not lead from record {seq} to the root: verify it"))
        })?;
        let checkpoint = String::from_utf8(anchor.checkpoint).unwrap_or_default();
        Ok(RecordProof { record, seq, path, checkpoint })
    }

    /// The bytes of record `seq`, as the export has it at its place.
    ///
    /// # Errors
    /// When it is not there, or the export cannot be read.
    pub fn record(&mut self, seq: u64) -> Result<Vec<u8>, BundleError> {
        let range = self.claim.first..=self.claim.last;
        let absent = || BundleError::Absent(format!("record {seq} is not in this export"));
        if !range.contains(&seq) {
            return Err(absent());
        }
        self.skip(seq - self.claim.first)?;
        let mut line = Vec::new();
        match self.records.next(&self.source, &mut line)? {
            Some(Line::Whole) => Ok(line),
            Some(Line::Cut | Line::Oversized(_)) | None => Err(absent()),
        }
    }

    /// Compares a file that was read with what the manifest says of it.
    fn compare(&mut self, name: &str, length: u64, digest: [u8; 32]) {
        if let Some(listed) = self.pending.remove(name)
            && (listed.bytes, listed.sha256) != (length, digest)
        {
            self.findings.push(Finding::whole(Code::File, format!("{name} is not the file that the manifest lists")));
        }
    }

    fn compare_read(&mut self) {
        let read = [&mut self.records, &mut self.values].into_iter().flat_map(Lines::take_read).collect::<Vec<_>>();
        let more = match &mut self.anchors {
            AnchorSource::Export(lines) => lines.take_read(),
            AnchorSource::Copy(_) => Vec::new(),
        };
        for (name, length, digest) in read.into_iter().chain(more) {
            self.compare(&name, length, digest);
        }
    }
}

impl AnchorSource {
    /// The next anchors; none at the end.
    fn next(&mut self, source: &Source) -> Result<Vec<GivenAnchor>, BundleError> {
        let lines = match self {
            Self::Copy(copy) => return copy.next(ANCHORS),
            Self::Export(lines) => lines,
        };
        let (mut page, mut line) = (Vec::new(), Vec::new());
        while page.len() < ANCHORS {
            line.clear();
            page.push(match lines.next(source, &mut line)? {
                None => break,
                Some(Line::Whole) => anchor_of(&line).unwrap_or_else(no_anchor),
                Some(Line::Cut | Line::Oversized(_)) => no_anchor(),
            });
        }
        Ok(page)
    }
}

impl Evidence for Bundle {
    type Error = BundleError;

    fn claim(&self) -> &Claim {
        &self.claim
    }

    fn anchors(&mut self) -> Result<Vec<GivenAnchor>, BundleError> {
        self.anchors.next(&self.source)
    }

    fn tree_size(&mut self) -> Result<u64, BundleError> {
        let last = self.tiles.range((0, 0)..(1, 0)).next_back();
        Ok(last.map_or(0, |((_, index), (width, _))| index.saturating_mul(WIDTH).saturating_add(*width)))
    }

    fn tile(&mut self, level: u32, index: u64) -> Result<Option<Vec<u8>>, BundleError> {
        let Some((width, name)) = self.tiles.get(&(level, index)).cloned() else { return Ok(None) };
        // One byte more than a tile has shows one that is too long.
        let largest = WIDTH * 32;
        let bytes = self.source.read(&name, largest)?.unwrap_or_default();
        if self.pending.contains_key(&name) {
            let length = self.source.length(&name).unwrap_or_default();
            self.compare(&name, length, Sha256::digest(&bytes).into());
        }
        let is_tile = u64::try_from(bytes.len()).is_ok_and(|length| length == width * 32);
        Ok(Some(if is_tile { bytes } else { Vec::new() }))
    }

    fn skip(&mut self, records: u64) -> Result<(), BundleError> {
        let mut line = Vec::new();
        for _ in 0..records {
            line.clear();
            if self.records.next(&self.source, &mut line)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn records(&mut self, page: &mut Page) -> Result<(), BundleError> {
        let mut line = Vec::new();
        while page.len() < PAGE.0 && page.bytes() < PAGE.1 {
            line.clear();
            match self.records.next(&self.source, &mut line)? {
                None => break,
                Some(Line::Whole) => page.push(&line),
                Some(Line::Cut) => page.push_flawed(&line, "the line is not ended"),
                Some(Line::Oversized(leaf)) => page.push_oversized(leaf),
            }
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Option<GivenValue>, BundleError> {
        let mut line = Vec::new();
        Ok(match self.values.next(&self.source, &mut line)? {
            None => None,
            Some(Line::Whole) => Some(value_of(&line).unwrap_or_else(no_value)),
            Some(Line::Cut | Line::Oversized(_)) => Some(no_value()),
        })
    }

    fn findings(&mut self) -> Result<Vec<Finding>, BundleError> {
        self.compare_read();
        let rest: Vec<String> = self.pending.keys().cloned().collect();
        for name in rest {
            if !manifest::is_of_table(&name) {
                self.pending.remove(&name);
                self.findings.push(Finding::whole(Code::File, format!("{name:?} is no file of an export")));
                continue;
            }
            match self.source.digest(&name)? {
                Some((length, digest)) => self.compare(&name, length, digest),
                None => {
                    self.pending.remove(&name);
                    self.findings.push(Finding::whole(Code::File, format!("{name} is missing")));
                }
            }
        }
        let mut findings = std::mem::take(&mut self.findings);
        if let AnchorSource::Copy(copy) = &mut self.anchors {
            findings.append(&mut copy.findings);
        }
        Ok(findings)
    }
}

fn tiles_of(source: &Source) -> BTreeMap<(u32, u64), (u64, String)> {
    let mut tiles: BTreeMap<(u32, u64), (u64, String)> = BTreeMap::new();
    for name in source.names() {
        let Some(tile) = TileId::parse(name) else { continue };
        let widest = tiles.entry((tile.level, tile.index)).or_default();
        if tile.width > widest.0 {
            *widest = (tile.width, name.clone());
        }
    }
    tiles
}

const fn no_anchor() -> GivenAnchor {
    GivenAnchor { epoch: 0, number: 0, checkpoint: Vec::new(), meta: Vec::new() }
}

const fn no_value() -> GivenValue {
    GivenValue { seq: None, name: String::new(), salt: [0; 16], value: String::new() }
}

/// The texts and numbers of a flat object, provided that it holds nothing else and is in its one spelling.
fn flat(line: &[u8]) -> Option<BTreeMap<String, Value>> {
    let mut map = BTreeMap::new();
    let read = canonical::read(line, |outer, key, scalar| {
        let value = match scalar {
            Scalar::Text(raw) => Value::Text(raw.text().into_owned()),
            Scalar::Integer(number) => Value::Integer(number),
            Scalar::Flag | Scalar::Listed(_) => return,
        };
        if outer.is_empty() {
            map.insert(key.to_owned(), value);
        }
    });
    read.ok()?;
    let mut again = Vec::new();
    push_value(&mut again, &Value::Map(map.clone()));
    (again == line).then_some(map)
}

fn text(map: &mut BTreeMap<String, Value>, key: &str) -> Option<String> {
    match map.remove(key)? {
        Value::Text(text) => Some(text),
        Value::Integer(_) | Value::Flag(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn number(map: &mut BTreeMap<String, Value>, key: &str) -> Option<u64> {
    match map.remove(key)? {
        Value::Integer(number) => u64::try_from(number).ok().filter(|number| (1..=MAX_INTEGER).contains(number)),
        Value::Text(_) | Value::Flag(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn anchor_of(line: &[u8]) -> Option<GivenAnchor> {
    let mut map = flat(line)?;
    let anchor = GivenAnchor {
        epoch: number(&mut map, "epoch")?,
        number: number(&mut map, "number")?,
        checkpoint: text(&mut map, "checkpoint")?.into_bytes(),
        meta: text(&mut map, "meta")?.into_bytes(),
    };
    map.is_empty().then_some(anchor)
}

fn value_of(line: &[u8]) -> Option<GivenValue> {
    let mut map = flat(line)?;
    let salt = text(&mut map, "salt")?;
    let mut bytes = [0; 16];
    hex::decode_to_slice(&salt, &mut bytes).ok().filter(|()| hex::encode(bytes) == salt)?;
    let value = GivenValue {
        seq: Some(number(&mut map, "seq")?),
        name: text(&mut map, "name")?,
        salt: bytes,
        value: text(&mut map, "value")?,
    };
    map.is_empty().then_some(value)
}

#[cfg(test)]
mod tests;
