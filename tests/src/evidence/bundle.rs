//! Bundles and copies of buckets, as files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use rack_gateway::proof::anchor::{ObjectKey, epoch_origin};
use rack_gateway::proof::chain;
use rack_gateway::proof::chain::Hash;
use rack_gateway::proof::note::Note;
use rack_gateway::proof::tile::{TileId, WIDTH, needed};
use rack_gateway::proof::tree::Frontier;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::{Anchor, Log, spell, time_text};

/// Records, or values, of one file.
const LINES: usize = 10_000;

/// The files of a bundle by name; a test changes them, and may [seal](Bundle::seal) them again.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Log {
    /// The bundle of all records.
    #[must_use]
    pub fn bundle(&self) -> Bundle {
        self.bundle_of(1, self.records.len() as u64)
    }

    /// The bundle of a range; `first` is 1 or one more than the size of an anchor.
    ///
    /// # Panics
    /// When there are no such records.
    #[must_use]
    pub fn bundle_of(&self, first: u64, last: u64) -> Bundle {
        let mut bundle = Bundle::default();
        let at = |number: u64| usize::try_from(number).expect("a number");
        let lines = self.records[at(first - 1)..at(last)]
            .chunks(LINES)
            .map(|part| part.iter().flat_map(|record| record.iter().copied().chain([b'\n'])).collect());
        bundle.put_lines("records", lines);
        let values: Vec<_> = self.values.iter().filter(|value| (first..=last).contains(&value.seq)).collect();
        let lines = values.chunks(LINES).map(|part| {
            let lines = part
                .iter()
                .map(|v| json!({"name": v.name, "salt": hex::encode(v.salt), "seq": v.seq, "value": v.value}));
            lines.flat_map(|line| format!("{}\n", spell(&line)).into_bytes()).collect()
        });
        bundle.put_lines("private", lines);
        let base = self.anchors.iter().rposition(|anchor| first > 1 && anchor.meta.size == first - 1).unwrap_or(0);
        bundle.put_anchors(&self.anchors[base..]);
        if let Some(size) = self.anchors.last().map(|anchor| anchor.meta.size) {
            bundle.put_tiles(&self.records, size, first, last);
        }
        let trust = serde_json::to_vec_pretty(&self.trust()).expect("a trust file");
        bundle.files.insert("trust.json".to_owned(), trust);
        let chain = hex::encode(self.state_at(self.records.len() as u64).1);
        let manifest = json!({
            "v": 1, "kind": "export", "origin": self.origin, "first": first, "last": last,
            "made_at": time_text(self.now), "version": "0.1.0", "private": true,
            "head": {"seq": self.records.len(), "chain": chain}, "files": [],
        });
        bundle.files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
        bundle.seal();
        bundle
    }
}

impl Bundle {
    fn put_lines(&mut self, kind: &str, files: impl Iterator<Item = Vec<u8>>) {
        for (at, lines) in files.enumerate() {
            self.files.insert(format!("{kind}/{:06}.jsonl", at + 1), lines);
        }
    }

    /// Replaces the anchors.
    pub fn put_anchors(&mut self, anchors: &[Anchor]) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let line = |anchor: &Anchor| {
            let (checkpoint, meta) = (text(&anchor.checkpoint), text(&anchor.note));
            let line = json!({
                "checkpoint": checkpoint, "epoch": anchor.meta.epoch, "meta": meta, "number": anchor.meta.anchor,
            });
            format!("{}\n", spell(&line)).into_bytes()
        };
        self.files.insert("anchors/000001.jsonl".to_owned(), anchors.iter().flat_map(line).collect());
    }

    /// Replaces the tiles by those of the tree of the first `size` records, for a range.
    ///
    /// # Panics
    /// When there are fewer records.
    pub fn put_tiles(&mut self, records: &[Vec<u8>], size: u64, first: u64, last: u64) {
        self.files.retain(|name, _| !name.starts_with("tile/"));
        let size = size.min(records.len() as u64);
        let mut places: Vec<u64> = (first - 1..last).step_by(256).collect();
        places.extend([first - 1, last.saturating_sub(1)]);
        let leaves = records.iter().take(usize::try_from(size).expect("a number")).map(|record| chain::leaf(record));
        let levels = levels(leaves.collect());
        for tile in needed(size, &places) {
            self.files.insert(tile.to_string(), tile_bytes(&levels, tile));
        }
    }

    /// The manifest.
    ///
    /// # Panics
    /// When there is none that can be read.
    #[must_use]
    pub fn manifest(&self) -> Json {
        serde_json::from_slice(&self.files["manifest.json"]).expect("a manifest")
    }

    /// Changes the manifest; what it says of files stays as it is.
    pub fn change_manifest(&mut self, change: impl FnOnce(&mut Json)) {
        let mut manifest = self.manifest();
        change(&mut manifest);
        self.files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
    }

    /// Makes the manifest list the files as they are now.
    pub fn seal(&mut self) {
        let listed = self.files.iter().filter(|(name, _)| !name.starts_with("manifest."));
        let files: Vec<Json> = listed
            .map(|(name, bytes)| {
                json!({"name": name, "bytes": bytes.len(), "sha256": hex::encode(Sha256::digest(bytes))})
            })
            .collect();
        self.change_manifest(|manifest| manifest["files"] = json!(files));
    }

    /// With one more file, which the manifest does not know of.
    #[must_use]
    pub fn with(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.insert(name.to_owned(), bytes.to_vec());
        self
    }

    /// Signs the manifest, as it is now, by the key in force.
    pub fn sign_manifest(&mut self, log: &Log) {
        let digest = hex::encode(Sha256::digest(&self.files["manifest.json"]));
        let mut note = Note { text: format!("rack-gateway-audit-export/v1\n{digest}\n"), signatures: Vec::new() };
        let signature = log.key.sign(note.text.as_bytes());
        note.sign(&epoch_origin(&log.origin, log.epoch), log.key.public(), signature);
        self.files.insert("manifest.note".to_owned(), note.encode().into_bytes());
    }

    /// The lines of one kind of file (`records`, `private`, `anchors`), without their newlines.
    #[must_use]
    pub fn lines(&self, kind: &str) -> Vec<Vec<u8>> {
        let files = self.files.iter().filter(|(name, _)| name.starts_with(&format!("{kind}/")));
        let lines = files.flat_map(|(_, bytes)| bytes.split_inclusive(|byte| *byte == b'\n'));
        lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line).to_vec()).collect()
    }

    /// Replaces them, in one file.
    pub fn set_lines(&mut self, kind: &str, lines: &[Vec<u8>]) {
        self.files.retain(|name, _| !name.starts_with(&format!("{kind}/")));
        let bytes = lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
        self.files.insert(format!("{kind}/000001.jsonl"), bytes);
    }

    /// Writes a folder.
    ///
    /// # Errors
    /// When that fails.
    pub fn write_folder(&self, folder: &Path) -> io::Result<()> {
        for (name, bytes) in &self.files {
            write(&folder.join(name), bytes)?;
        }
        Ok(())
    }

    /// The tar archive (ustar).
    ///
    /// # Panics
    /// When a file is larger than such an archive can hold.
    #[must_use]
    pub fn tar(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, bytes) in &self.files {
            let mut header = [0_u8; 512];
            let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
            put(0, name);
            put(100, "0000644\0");
            put(108, "0000000\0");
            put(116, "0000000\0");
            put(124, &format!("{:011o}\0", bytes.len()));
            put(136, "00000000000\0");
            put(148, "        ");
            put(156, "0");
            put(257, "ustar\x0000");
            let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            out.extend_from_slice(&header);
            out.extend_from_slice(bytes);
            out.resize(out.len().next_multiple_of(512), 0);
        }
        out.resize(out.len() + 1024, 0);
        out
    }
}

/// Writes what the bucket of this log holds below `folder`: all notes, and the tiles of the newest anchor.
///
/// # Errors
/// When that fails.
pub fn copy_of_bucket(log: &Log, folder: &Path) -> io::Result<()> {
    for anchor in &log.anchors {
        let origin = epoch_origin(&log.origin, anchor.meta.epoch);
        let number = anchor.meta.anchor;
        write(&folder.join(ObjectKey::Checkpoint(number).path(&origin)), &anchor.checkpoint)?;
        write(&folder.join(ObjectKey::Meta(number).path(&origin)), &anchor.note)?;
    }
    let Some(last) = log.anchors.last() else { return Ok(()) };
    let mut tiles = Bundle::default();
    tiles.put_tiles(&log.records, last.meta.size, 1, last.meta.size.max(1));
    let home = folder.join("v1").join(epoch_origin(&log.origin, last.meta.epoch));
    tiles.write_folder(&home)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::File::create(path)?.write_all(bytes)
}

/// The hashes of all levels of tiles.
fn levels(leaves: Vec<Hash>) -> Vec<Vec<Hash>> {
    let mut levels = vec![leaves];
    loop {
        let below = &levels[levels.len() - 1];
        let full = below.chunks_exact(256).map(|tile| {
            let mut tree = Frontier::default();
            // A perfect subtree is a tree of its own.
            tile.iter().for_each(|hash| tree.push(*hash));
            tree.root()
        });
        let above: Vec<Hash> = full.collect();
        if above.is_empty() {
            return levels;
        }
        levels.push(above);
    }
}

fn tile_bytes(levels: &[Vec<Hash>], tile: TileId) -> Vec<u8> {
    let (level, first) = (usize::try_from(tile.level).unwrap_or(usize::MAX), tile.index * WIDTH);
    let hashes = levels[level].iter().skip(usize::try_from(first).unwrap_or(usize::MAX));
    hashes.take(usize::try_from(tile.width).unwrap_or(0)).flatten().copied().collect()
}
