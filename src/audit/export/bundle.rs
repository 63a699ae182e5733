//! The bundle of `docs/audit-format.md`: anchors, tiles, records with their personal values, and last the
//! manifest, without which it is none, with a signature where there is a key.

use serde_json::json;
use time::OffsetDateTime;

use super::plan::{self, Plan};
use super::tar::{Archive, Lines};
use super::{Export, ExportError, Sink};
use crate::audit::anchor::Sealer;
use crate::audit::record::timestamp;
use crate::proof::canonical::{MAX_INTEGER, Value, push_value};
use crate::proof::tile::{TileId, WIDTH};
use crate::store::{PrivateRow, Store, StoreError};

/// Records per read.
const RECORDS: u64 = 256;
/// Anchors per read.
const ANCHORS: u64 = 500;
/// Tiles per read.
const TILES: u64 = 64;
/// Bits of a leaf's number that one level of tiles takes away.
const HEIGHT: u32 = 8;

pub(super) async fn write(export: Export, sink: &Sink) -> Result<(), ExportError> {
    let Export { keeper, request, mut plan, now, sealer } = export;
    let store = keeper.store();
    let made_at = u64::try_from(now.unix_timestamp()).unwrap_or_default();
    let mut archive = Archive::new(sink, made_at);
    anchors(store, &plan, &mut archive).await?;
    tiles(store, &plan, &mut archive).await?;
    let mut records =
        Records { store, private: request.private, lines: Lines::of("records"), values: Lines::of("private") };
    records.write(plan.first, plan.last, &mut archive).await?;
    // A value that is erased meanwhile is missing, and the record that says so would come after the range. In a
    // range that ends earlier, nobody expects it.
    let is_whole = plan.last == plan.head.seq;
    while request.private
        && is_whole
        && let Some(seq) = plan::erased_until(store, plan.first, plan.last).await?
    {
        records.write(plan.last + 1, seq, &mut archive).await?;
        plan.last = seq;
        plan.head = plan::head(store).await?.1;
    }
    end(archive, store, &plan, sealer, (request.private, now)).await
}

/// The manifest, and what the key of the anchors says of it.
async fn end(
    mut archive: Archive<'_>,
    store: &Store,
    plan: &Plan,
    sealer: Option<Sealer>,
    (private, now): (bool, OffsetDateTime),
) -> Result<(), ExportError> {
    let seal = Seal::of(sealer, plan).await;
    if let Some(seal) = &seal {
        archive.add("trust.json".to_owned(), seal.trust.clone()).await?;
    }
    let listed = archive.listed().iter();
    let files: Vec<_> = listed
        .map(|file| json!({ "name": file.name, "bytes": file.bytes, "sha256": hex::encode(file.sha256) }))
        .collect();
    let manifest = json!({
        "v": 1,
        "kind": "export",
        "origin": plan.origin,
        "first": plan.first,
        "last": plan.last,
        "made_at": timestamp(now),
        "version": env!("CARGO_PKG_VERSION"),
        "private": private,
        "head": { "seq": plan.head.seq, "chain": hex::encode(plan.head.chain) },
        "files": files,
    });
    let manifest = format!("{manifest}\n").into_bytes();
    archive.add("manifest.json".to_owned(), manifest.clone()).await?;
    if let Some(seal) = seal
        && let Some(note) = seal.note(store, plan, &manifest).await
    {
        archive.add("manifest.note".to_owned(), note).await?;
    }
    archive.end().await
}

/// What the key of the anchors adds. The anchors prove what they prove without it: where it fails, that is told, and
/// the bundle is made.
struct Seal {
    sealer: Sealer,
    /// The trust file.
    trust: Vec<u8>,
}

impl Seal {
    async fn of(sealer: Option<Sealer>, plan: &Plan) -> Option<Self> {
        let sealer = sealer.filter(|_| !plan.origin.is_empty())?;
        match sealer.trust(&plan.origin).await {
            Ok(trust) => {
                let trust = format!("{:#}\n", json!(trust)).into_bytes();
                Some(Self { sealer, trust })
            }
            Err(error) => {
                tracing::warn!(%error, "the export is not signed, and has no copy of the trust file");
                None
            }
        }
    }

    async fn note(&self, store: &Store, plan: &Plan, manifest: &[u8]) -> Option<Vec<u8>> {
        let signed = self.sealer.sign(store, plan.end.as_ref()?, manifest).await;
        signed.inspect_err(|error| tracing::warn!(%error, "the manifest of the export is not signed")).ok()
    }
}

/// Every anchor from the base, or from the first one, to the last one.
async fn anchors(store: &Store, plan: &Plan, archive: &mut Archive<'_>) -> Result<(), ExportError> {
    let Some(end) = &plan.end else { return Ok(()) };
    let mut after = plan.base.as_ref().map_or((0, 0), |base| (base.epoch, base.number - 1));
    let mut lines = Lines::of("anchors");
    loop {
        let page = store.anchors_after(after.0, after.1, ANCHORS).await?;
        let Some(last) = page.last().map(|anchor| (anchor.epoch, anchor.number)) else { break };
        for anchor in page.iter().filter(|anchor| (anchor.epoch, anchor.number) <= (end.epoch, end.number)) {
            let text = |note: &[u8]| Value::Text(String::from_utf8_lossy(note).into_owned());
            let line = Value::from([
                ("checkpoint", text(&anchor.checkpoint)),
                ("epoch", number(anchor.epoch)),
                ("meta", text(&anchor.meta)),
                ("number", number(anchor.number)),
            ]);
            lines.push(&spelled(&line));
            if lines.is_full() {
                lines.flush(archive).await?;
            }
        }
        if last >= (end.epoch, end.number) {
            break;
        }
        after = last;
    }
    lines.flush(archive).await
}

/// Of the tree of the last anchor: the tiles of every level that overlap the range or the leaf before it, and
/// the last one of every level.
async fn tiles(store: &Store, plan: &Plan, archive: &mut Archive<'_>) -> Result<(), ExportError> {
    let size = plan.end.as_ref().map_or(0, |end| end.size);
    // Leaves are numbered from 0: this is the one before the range, and the last one of it.
    let (from, to) = (plan.first.saturating_sub(2), plan.last.min(size).saturating_sub(1));
    for level in 0..u64::BITS / HEIGHT {
        let hashes = size >> (HEIGHT * level);
        let Some(last) = hashes.checked_sub(1) else { break };
        let tile_of = |leaf: u64| (leaf >> (HEIGHT * level)).min(last) / WIDTH;
        let (first, until) = (tile_of(from.min(to)), tile_of(to));
        let mut index = first;
        while index <= until {
            let count = TILES.min(until - index + 1);
            tiles_of(store, (level, hashes), index, count, archive).await?;
            index += count;
        }
        if until < last / WIDTH {
            tiles_of(store, (level, hashes), last / WIDTH, 1, archive).await?;
        }
    }
    Ok(())
}

/// `count` tiles of a level that has so many hashes.
async fn tiles_of(
    store: &Store,
    (level, hashes): (u32, u64),
    index: u64,
    count: u64,
    archive: &mut Archive<'_>,
) -> Result<(), ExportError> {
    let first = index * WIDTH;
    let wanted = (count * WIDTH).min(hashes - first);
    let found = store.nodes(level, first, wanted).await?;
    if u64::try_from(found.len()).ok() != Some(wanted) {
        return Err(StoreError::NotFound.into());
    }
    let width = usize::try_from(WIDTH).unwrap_or(usize::MAX);
    for (index, tile) in (index..).zip(found.chunks(width)) {
        let id = TileId { level, index, width: u64::try_from(tile.len()).unwrap_or(WIDTH) };
        archive.add(id.to_string(), tile.concat()).await?;
    }
    Ok(())
}

/// Records on their way into the archive, each file followed by what was personal in it.
struct Records<'a> {
    store: &'a Store,
    private: bool,
    lines: Lines,
    values: Lines,
}

impl Records<'_> {
    async fn write(&mut self, first: u64, last: u64, archive: &mut Archive<'_>) -> Result<(), ExportError> {
        let mut after = first - 1;
        let mut told = first;
        while after < last {
            let page = self.store.records_after(after, RECORDS.min(last - after)).await?;
            let Some(end) = page.last().map(|record| record.seq.min(last)) else { break };
            for record in page.iter().filter(|record| record.seq <= last) {
                self.lines.push(&record.canon);
            }
            after = end;
            if self.lines.is_full() || after >= last {
                self.flush(told, after, archive).await?;
                told = after + 1;
            }
        }
        self.flush(told, last, archive).await
    }

    async fn flush(&mut self, first: u64, last: u64, archive: &mut Archive<'_>) -> Result<(), ExportError> {
        self.lines.flush(archive).await?;
        if !self.private || last < first {
            return Ok(());
        }
        let mut rows = self.store.private_of(first, last).await?;
        // Databases sort by their own rules.
        rows.sort_by(|one, next| (one.seq, &one.name).cmp(&(next.seq, &next.name)));
        for row in rows {
            self.values.push(&spelled(&value_of(&row)));
            if self.values.is_full() {
                self.values.flush(archive).await?;
            }
        }
        self.values.flush(archive).await
    }
}

fn value_of(row: &PrivateRow) -> Value {
    Value::from([
        ("name", Value::from(row.name.as_str())),
        ("salt", Value::from(hex::encode(row.salt))),
        ("seq", number(row.seq)),
        ("value", Value::from(row.value.as_str())),
    ])
}

fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number.min(MAX_INTEGER)).unwrap_or(i64::MAX))
}

fn spelled(value: &Value) -> Vec<u8> {
    let mut line = Vec::new();
    push_value(&mut line, value);
    line
}
