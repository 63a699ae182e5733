//! A real log with everything that belongs to it, made once for each database, and copies of it to damage.
//!
//! | records | what | anchor |
//! | --- | --- | --- |
//! | none | | 1 |
//! | 1 | the log begins | |
//! | 2-101 | fifty requests: an intent 2n and its outcome 2n + 1, with the address as personal value | 2 |
//! | 102-301 | a hundred more | 3 |
//! | 302-304 | a person is added (e-mail), a denial (address), the address of record 4 is erased | 4 |
//! | 305-310 | three requests | none yet |

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::audit::anchor::{AnchorParts, Anchorer, Aws, Signer, make_key_file};
use rack_gateway::audit::erase::{Erasure, Whose};
use rack_gateway::audit::{Actor, Event, EventKind, Keeper, Outcome, OutcomeResult, Writer, WriterOptions};
use rack_gateway::clock::Clock;
use rack_gateway::config::{AnchorKey, AnchorPlace, AnchorSettings};
use rack_gateway::proof::anchor::AnchorReason;
use rack_gateway::store::Store;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::db::Db;
use crate::harness::until;

pub const ORIGIN: &str = "rack-gateway/acme/dev";
/// The last record.
pub const LAST: u64 = 310;
const DAY: Duration = Duration::from_secs(86_400);
/// Addresses from which requests come.
const ADDRESS: [u8; 4] = [192, 0, 2, 7];

/// The honest log.
pub struct Scene {
    pub db: Db,
    /// As it was when only records 1 to 101 and anchors 1 and 2 were there.
    pub old: Db,
    pub dir: TempDir,
}

impl Scene {
    pub async fn new(db: Db) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let mut scene = Self { old: db.sibling().await, db, dir };
        let public = make_key_file(&scene.key()).expect("a key");
        let trust = json!({
            "v": 1,
            "origin": ORIGIN,
            "keys": [{ "public_key": STANDARD.encode(public.spki()) }],
            "store": { "kind": "file", "path": scene.anchors() },
        });
        std::fs::write(scene.trust(), trust.to_string()).expect("written");
        scene.write().await;
        scene
    }

    async fn write(&mut self) {
        let log = Writing::open(&self.db, self).await;
        log.anchor(1).await;
        log.requests(1..=50, 101).await;
        log.anchor(2).await;
        log.close().await;
        self.old = self.db.copy().await;

        let log = Writing::open(&self.db, self).await;
        log.requests(51..=150, 301).await;
        log.anchor(3).await;
        let mut added = Event::new(EventKind::Admin, "r151", "user:create");
        added.actor = Some(Actor { kind: "User".to_owned(), id: "ada".to_owned() });
        added.tell([("email".to_owned(), "bob@example.com".to_owned())]);
        log.writer.append(added).await.expect("a record");
        let denied = Event { decision: Some("deny".into()), ..event(EventKind::Denial, "r152", "app:delete") };
        log.writer.append(denied).await.expect("a record");
        let actor = Actor { kind: "Operator".to_owned(), id: "command-line".to_owned() };
        let erasure = Erasure::new(Whose::Record(4), None, "asked for it", "ada@example.com").expect("an erasure");
        assert_eq!(erasure.run(&log.keeper, &log.writer, &actor).await.expect("erased"), 1);
        log.anchor(4).await;
        log.requests(153..=155, LAST).await;
        log.close().await;
    }

    pub fn anchors(&self) -> PathBuf {
        self.dir.path().join("anchors")
    }

    pub fn key(&self) -> PathBuf {
        self.dir.path().join("anchor.key")
    }

    pub fn trust(&self) -> PathBuf {
        self.dir.path().join("trust.json")
    }

    /// The honest anchors, once a case has put damaged ones in their place.
    pub fn kept(&self) -> PathBuf {
        self.dir.path().join("kept")
    }

    pub async fn signer(&self) -> Signer {
        Signer::open(&AnchorKey::File(self.key()), &Aws::environment()).await.expect("the key")
    }
}

/// What writes to a log.
pub struct Writing {
    pub writer: Writer,
    keeper: Keeper,
    store: Store,
    anchorer: Anchorer,
}

impl Writing {
    pub async fn open(db: &Db, scene: &Scene) -> Self {
        let store = db.store().await;
        let instance = uuid::Uuid::now_v7().to_string();
        let mut options = WriterOptions::new(instance, ORIGIN);
        options.dead_after = Duration::ZERO;
        let writer = Writer::start(store.clone(), Clock::system(), options).await.expect("a writer");
        let keeper = Keeper::new(store.clone());
        let place = AnchorPlace::Folder(scene.anchors());
        let anchorer = Anchorer::new(AnchorParts {
            // Whatever a slow machine makes of the rest, the next anchor is not due.
            settings: AnchorSettings { interval: DAY, ..AnchorSettings::new(place, AnchorKey::File(scene.key())) },
            aws: Aws::environment(),
            keeper: keeper.clone(),
            clock: Clock::system(),
            writer: writer.clone(),
            bundle: Box::new(|| None),
        });
        Self { writer, keeper, store, anchorer }
    }

    async fn anchor(&self, number: u64) {
        let row = self.anchorer.anchor(AnchorReason::Start).await.expect("an anchor");
        assert_eq!(row.number, number);
    }

    /// Requests of these numbers, one after the other; the last record is `last` then.
    pub async fn requests(&self, numbers: std::ops::RangeInclusive<u64>, last: u64) {
        for n in numbers {
            let event = event(EventKind::Intent, &format!("r{n}"), "app:list");
            let held = self.writer.intent(event).await.expect("an intent");
            held.complete(Outcome { status: Some(200), ..Outcome::of(OutcomeResult::Completed) });
        }
        until("the last outcome", async || {
            let (_, head) = self.store.head().await.expect("the head").expect("a head");
            (head.seq == last).then_some(())
        })
        .await;
    }

    pub async fn close(self) {
        assert!(self.writer.shutdown(Duration::from_secs(5)).await);
        drop((self.anchorer, self.keeper));
        self.store.close().await;
    }
}

fn event(kind: EventKind, request: &str, action: &'static str) -> Event {
    Event {
        actor: Some(Actor { kind: "User".to_owned(), id: "ada".to_owned() }),
        source_ip: Some(IpAddr::from(ADDRESS)),
        resource: Some("App::myapp".to_owned()),
        decision: Some("allow".into()),
        ..Event::new(kind, request, action)
    }
}

/// Where an object of an anchor is.
pub fn object(anchors: &Path, kind: &str, number: u64) -> PathBuf {
    anchors.join(format!("v1/{ORIGIN}/{kind}/{number:012}"))
}
