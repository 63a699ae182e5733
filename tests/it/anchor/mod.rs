//! Anchors: what is put, what is refused, what remains when something fails on the way.

mod commands;
mod crash;
mod epochs;
mod faults;
mod made;
mod network;
mod races;
mod when;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_sdk_kms::types::KeySpec;
use rack_gateway::audit::anchor::{AnchorError, AnchorParts, Anchorer, Aws, Objects, make_key_file};
use rack_gateway::audit::{Event, EventKind, Keeper, Writer, WriterOptions};
use rack_gateway::clock::Clock;
use rack_gateway::config::{AnchorKey, AnchorPlace, AnchorSettings};
use rack_gateway::proof::anchor::{AnchorReason, Checkpoint, Meta, ObjectKey};
use rack_gateway::proof::note::Note;
use rack_gateway::proof::tile::Tiles;
use rack_gateway::proof::trust::Trust;
use rack_gateway::store::{AnchorRow, Store};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::harness::db::Db;
use crate::harness::emulator::{self, Emulator};
use crate::harness::until;

pub const ORIGIN: &str = "rack-gateway/acme/dev";

/// A log with a writer, and where its anchors go.
pub struct Site {
    pub db: Db,
    pub store: Store,
    pub writer: Writer,
    pub keeper: Keeper,
    pub settings: AnchorSettings,
    pub aws: Aws,
    /// Seconds that this machine's clock is ahead.
    pub ahead: Arc<AtomicI64>,
    _folder: TempDir,
}

impl Site {
    /// With a bucket and a key of KMS.
    pub async fn bucket(db: Db) -> Self {
        let emulator = emulator::shared().await;
        let place = AnchorPlace::S3 { bucket: emulator.bucket(true).await, account: None };
        let key = AnchorKey::Kms(emulator.key(KeySpec::EccNistP256).await);
        Self::new(db, AnchorSettings::new(place, key), tempfile::tempdir().unwrap()).await
    }

    /// With a folder and a key file.
    pub async fn folder(db: Db) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        make_key_file(&key).unwrap();
        let place = AnchorPlace::Folder(folder.path().join("anchors"));
        Self::new(db, AnchorSettings::new(place, AnchorKey::File(key)), folder).await
    }

    async fn new(db: Db, settings: AnchorSettings, folder: TempDir) -> Self {
        let aws = Emulator::aws(emulator::shared().await.port);
        let (store, writer) = begin(&db).await;
        let keeper = Keeper::new(store.clone());
        Self { db, store, writer, keeper, settings, aws, ahead: Arc::default(), _folder: folder }
    }

    /// The same anchors over another database, with its log.
    pub async fn with(&self, db: Db) -> Self {
        let (store, writer) = begin(&db).await;
        let keeper = Keeper::new(store.clone());
        let (settings, aws) = (self.settings.clone(), self.aws.clone());
        Self { db, store, writer, keeper, settings, aws, ahead: Arc::default(), _folder: tempfile::tempdir().unwrap() }
    }

    pub fn parts(&self) -> AnchorParts {
        let ahead = Arc::clone(&self.ahead);
        let now = move || OffsetDateTime::now_utc() + time::Duration::seconds(ahead.load(Ordering::SeqCst));
        AnchorParts {
            settings: self.settings.clone(),
            aws: self.aws.clone(),
            keeper: self.keeper.clone(),
            clock: Clock::from_fn(now),
            writer: self.writer.clone(),
            bundle: Box::new(|| Some("digest".to_owned())),
        }
    }

    pub fn anchorer(&self) -> Anchorer {
        Anchorer::new(self.parts())
    }

    pub async fn objects(&self) -> Objects {
        Objects::open(&self.settings, &self.aws).await.unwrap()
    }

    pub fn bucket_name(&self) -> &str {
        match &self.settings.place {
            AnchorPlace::S3 { bucket, .. } => bucket,
            AnchorPlace::Folder(_) => panic!("a folder"),
        }
    }

    /// Adds records, the same ones each time for the same `word`.
    pub async fn grow(&self, word: &str, count: u32) {
        let records = (0..count).map(|n| {
            let writer = self.writer.clone();
            let event =
                Event { message: Some(format!("{word} {n}")), ..Event::new(EventKind::System, "", "test:grow") };
            async move { writer.append(event).await.unwrap() }
        });
        futures_util::future::join_all(records).await;
    }

    /// The number of the last record.
    pub async fn size(&self) -> u64 {
        self.store.head().await.unwrap().unwrap().1.seq
    }

    /// Records of that action, as JSON.
    pub async fn records(&self, action: &str) -> Vec<serde_json::Value> {
        let all = self.store.records_after(0, 100_000).await.unwrap();
        let all = all.iter().map(|record| serde_json::from_slice::<serde_json::Value>(&record.canon).unwrap());
        all.filter(|record| record["action"] == action).collect()
    }

    /// Checks everything that is in the place, with no help of what put it there; the metadata in order.
    pub async fn check(&self) -> Vec<Meta> {
        let objects = self.objects().await;
        let trust = rack_gateway::audit::anchor::trust(&self.settings, &self.aws, ORIGIN).await.unwrap();
        check(&objects, &trust, ORIGIN).await
    }

    pub async fn close(self) {
        assert!(self.writer.shutdown(Duration::from_secs(5)).await);
        self.store.close().await;
    }
}

/// Makes an anchor; a database whose connections were cut, or a turn that is just over, may need a second try.
pub async fn persist(site: &Site, reason: AnchorReason) -> AnchorRow {
    persist_with(&site.anchorer(), reason).await
}

pub async fn persist_with(anchorer: &Anchorer, reason: AnchorReason) -> AnchorRow {
    until("an anchor is made", || async {
        match anchorer.anchor(reason).await {
            Ok(row) => Some(row),
            Err(AnchorError::Busy | AnchorError::Store(_)) => None,
            Err(error) => panic!("{error}"),
        }
    })
    .await
}

pub async fn begin(db: &Db) -> (Store, Writer) {
    let store = db.store().await;
    let mut options = WriterOptions::new(format!("test-{}", uuid::Uuid::now_v7()), ORIGIN);
    options.dead_after = Duration::ZERO;
    let writer = Writer::start(store.clone(), Clock::system(), options).await.expect("start a writer");
    (store, writer)
}

/// All anchors of an epoch: numbers without gaps, one version each, signatures of the key in force,
/// links, and tiles that give the newest root.
pub async fn check(objects: &Objects, trust: &Trust, origin: &str) -> Vec<Meta> {
    let prefix = format!("v1/{origin}/");
    let keys = objects.list(&prefix, None).await.unwrap();
    let versions = objects.versions(&prefix).await.unwrap();
    assert_eq!(versions.len(), versions.iter().map(|v| &v.key).collect::<std::collections::BTreeSet<_>>().len());
    assert!(versions.iter().all(|version| !version.is_marker));
    let mut notes: BTreeMap<ObjectKey, Vec<u8>> = BTreeMap::new();
    for key in keys.iter().filter_map(|key| ObjectKey::parse(origin, key)) {
        notes.insert(key, objects.get(&key.path(origin)).await.unwrap().expect("it is there").to_vec());
    }
    let mut in_force = trust.public_keys().unwrap();
    let mut all: Vec<Meta> = Vec::new();
    let mut digests = (None, None);
    while let Some(checkpoint) = notes.get(&ObjectKey::Checkpoint(all.len() as u64 + 1)) {
        let number = all.len() as u64 + 1;
        let bytes = &notes[&ObjectKey::Meta(number)];
        let (note, signed) = (Note::parse(bytes).unwrap(), Note::parse(checkpoint).unwrap());
        let meta = Meta::parse(&note.text).expect("metadata");
        assert_eq!(Checkpoint::parse(&signed.text), Some(meta.checkpoint()));
        in_force.retain(|key| *key.fingerprint() == meta.signer);
        assert_eq!(in_force.len(), 1, "anchor {number} is signed by a key that is not in force");
        if let Some(next) = &meta.next_key {
            let next = rack_gateway::proof::key::PublicKey::from_spki(next).unwrap();
            in_force.push(next);
        }
        for key in &in_force {
            assert!(note.is_signed_by(origin, key) && signed.is_signed_by(origin, key), "anchor {number}");
        }
        if in_force.len() == 2 {
            in_force.remove(0);
        }
        assert_eq!((meta.anchor, meta.prev_checkpoint, meta.prev_meta), (number, digests.0, digests.1));
        assert!(all.last().is_none_or(|last| last.size <= meta.size && last.made_at <= meta.made_at));
        digests = (Some(Note::digest(checkpoint)), Some(Note::digest(bytes)));
        all.push(meta);
    }
    let checkpoints = notes.keys().filter(|key| matches!(key, ObjectKey::Checkpoint(_))).count();
    assert_eq!(checkpoints, all.len(), "numbers have no gap");
    let mut tiles = Tiles::default();
    for (key, bytes) in &notes {
        if let ObjectKey::Tile(id) = key {
            let hashes: Vec<[u8; 32]> = bytes.chunks(32).map(|hash| hash.try_into().unwrap()).collect();
            assert_eq!(hashes.len() as u64, id.width);
            tiles.insert(*id, hashes);
        }
    }
    if let Some(last) = all.last() {
        assert_eq!(tiles.frontier(last.size).expect("all tiles").root(), last.root);
    }
    all
}
