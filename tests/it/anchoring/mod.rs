//! Anchors in a gateway that serves: how well the log is anchored, as requests, health, metrics and the
//! record have it, while the place of the anchors fails and recovers.

mod levels;
mod process;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rack_gateway::audit::anchor::make_key_file;
use rack_gateway::clock::Clock;
use rack_gateway::config::{AnchorKey, AnchorPlace, AnchorSettings, Catalog};
use rack_gateway::http::Launch;
use rack_gateway::store::AnchorRow;
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::harness::gateway::launch_with;
use crate::harness::{Db, Gateway, until};
use crate::rows::CountingRack;
use crate::sign_in::{Send, json};

/// A gateway whose anchors are in a folder, and whose clock a test moves.
struct Scene {
    gateway: Gateway,
    /// What is guarded; it ends with this.
    _rack: CountingRack,
    /// Seconds ahead of the true time.
    ahead: Arc<AtomicI64>,
}

/// A folder for anchors, and a key.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        make_key_file(&place.key()).unwrap();
        place
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("anchors")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("anchor.key")
    }

    /// Nothing can be read or written there any more.
    fn fail(&self) {
        std::fs::rename(self.folder(), self.0.path().join("away")).unwrap();
        std::fs::write(self.folder(), "no folder").unwrap();
    }

    fn mend(&self) {
        std::fs::remove_file(self.folder()).unwrap();
        std::fs::rename(self.0.path().join("away"), self.folder()).unwrap();
    }

    /// The environment of a process that makes anchors here.
    fn environment(&self) -> [(String, String); 3] {
        [
            ("AUDIT_ANCHOR_BUCKET", format!("file://{}", self.folder().display())),
            ("AUDIT_ANCHOR_KEY_FILE", self.key().display().to_string()),
            ("AUDIT_ANCHOR_INTERVAL_SECONDS", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    fn settings(&self) -> AnchorSettings {
        let (place, key) = (AnchorPlace::Folder(self.folder()), AnchorKey::File(self.key()));
        AnchorSettings { interval: Duration::from_secs(1), ..AnchorSettings::new(place, key) }
    }

    /// Another process makes the anchors.
    fn separate(&self) -> AnchorSettings {
        AnchorSettings { in_server: false, ..self.settings() }
    }
}

impl Scene {
    async fn new(db: &Db, anchors: Option<AnchorSettings>) -> Self {
        Self::with(db, anchors, |launch| launch).await
    }

    async fn with(db: &Db, anchors: Option<AnchorSettings>, change: impl FnOnce(Launch) -> Launch) -> Self {
        let ahead = Arc::new(AtomicI64::new(0));
        let rack = CountingRack::start().await;
        let clock = clock(&ahead);
        let running = launch_with(db, rack.addr, |launch| change(Launch { anchors, clock, ..launch })).await;
        Self { gateway: Gateway::of(running).await, _rack: rack, ahead }
    }

    fn addr(&self) -> SocketAddr {
        self.gateway.addr()
    }

    /// Sets the clock so many seconds ahead.
    fn at(&self, seconds: i64) {
        self.ahead.store(seconds, Ordering::SeqCst);
    }

    async fn ready(&self) -> Value {
        let answer = Send::get("/api/v1/ready").to(self.addr()).await;
        assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(&answer.body));
        json(&answer)["anchors"].clone()
    }

    /// Waits for a state; gives what health says of it.
    async fn until(&self, state: &str) -> Value {
        until(state, async || Some(self.ready().await).filter(|anchors| anchors["state"] == state)).await
    }

    /// Waits until an anchor covers so much.
    async fn covered(&self, size: u64) -> Value {
        until("the anchor", async || {
            Some(self.ready().await).filter(|said| said["last"]["size"].as_u64().is_some_and(|last| last >= size))
        })
        .await
    }

    /// Waits for that many records of an action.
    async fn told(&self, action: &str, count: usize) -> Vec<Value> {
        until(action, async || Some(self.gateway.records_about(action).await).filter(|records| records.len() >= count))
            .await
    }

    /// What a request with a token of this role is answered.
    async fn ask(&self, role: &str, method: &str, target: &str) -> (u16, String) {
        let send = Send { method, ..Send::get(target) };
        let answer = send.header("Authorization", self.gateway.basic(role)).to(self.addr()).await;
        (answer.status(), String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// An anchor over all records, as if somebody else had made it.
    async fn anchored(&self) -> u64 {
        let gate = &self.gateway.running.gate;
        let number = gate.store.anchor_last().await.unwrap().map_or(1, |last| last.number + 1);
        let (_, head) = gate.store.head().await.unwrap().unwrap();
        let now = gate.clock.now();
        let spelled = |at: OffsetDateTime| at.format(&Rfc3339).unwrap();
        let row = AnchorRow {
            epoch: 1,
            number,
            size: head.seq,
            root: [0; 32],
            chain: head.chain,
            checkpoint: Vec::new(),
            meta: Vec::new(),
            made_at: spelled(now),
            next_due: spelled(now + time::Duration::seconds(120)),
            development: true,
        };
        gate.store.anchor_add(&row).await.unwrap();
        head.seq
    }
}

fn clock(ahead: &Arc<AtomicI64>) -> Clock {
    let ahead = Arc::clone(ahead);
    Clock::from_fn(move || OffsetDateTime::now_utc() + time::Duration::seconds(ahead.load(Ordering::SeqCst)))
}

/// What is pinned, in minutes.
fn limits(pins: &[(&'static str, u64)]) -> Catalog {
    pins.iter().fold(Catalog::unpinned(), |catalog, (name, minutes)| catalog.pin(name, (*minutes).into()))
}
