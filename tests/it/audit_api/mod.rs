//! The log of what happened, read through the gateway: search, proofs, exports.

mod broken;
mod client;
mod export;
mod proofs;
mod search;
mod signed;
mod tables;

use std::path::Path;

use rack_gateway::audit::anchor::{AnchorParts, Anchorer, Aws, make_key_file};
use rack_gateway::audit::{Actor, Event, EventKind};
use rack_gateway::config::{AnchorKey, AnchorPlace, AnchorSettings};
use rack_gateway::proof::anchor::AnchorReason;
use rack_gateway::proof::key::PublicKey;
use rack_gateway::store::AnchorRow;
use serde_json::Value;
use tempfile::TempDir;

use crate::api::{ask, with};
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;
use crate::rows::CountingRack;
use crate::sign_in::Send;

/// A gateway whose log a test anchors, in a folder, when it likes.
pub struct Stage {
    pub gateway: Gateway,
    pub folder: TempDir,
    pub key: PublicKey,
    anchorer: Anchorer,
}

impl Stage {
    pub async fn new(db: &Db) -> Self {
        let rack = CountingRack::start().await;
        Self::of(Gateway::start(db, rack.addr).await)
    }

    /// Of a gateway that runs.
    pub fn of(gateway: Gateway) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("key.pem");
        let key = make_key_file(&path).unwrap();
        let anchors = folder.path().join("anchors");
        std::fs::create_dir(&anchors).unwrap();
        let gate = &gateway.running.gate;
        let parts = AnchorParts {
            settings: AnchorSettings::new(AnchorPlace::Folder(anchors), AnchorKey::File(path)),
            aws: Aws::environment(),
            keeper: gate.keeper.clone(),
            clock: gate.clock.clone(),
            writer: gate.audit.clone(),
            bundle: Box::new(|| None),
        };
        Self { anchorer: Anchorer::new(parts), gateway, folder, key }
    }

    pub async fn anchor(&self) -> AnchorRow {
        self.anchorer.anchor(AnchorReason::Start).await.unwrap()
    }

    /// So many records of somebody, each with an address.
    pub async fn fill(&self, count: u32) {
        for number in 0..count {
            self.add(event("app:update", number)).await;
        }
    }

    /// Adds a record; gives its number.
    pub async fn add(&self, event: Event) -> u64 {
        self.gateway.running.gate.audit.append(event).await.unwrap().seq
    }

    /// Asks as an auditor.
    pub async fn get(&self, target: &str) -> Message {
        with(self.gateway.token("auditor"), Send::get(target)).to(self.gateway.addr()).await
    }

    /// Asks for JSON that must come with this status.
    pub async fn json(&self, target: &str, status: u16) -> Value {
        ask(&self.gateway, self.gateway.token("auditor"), Send::get(target), status).await
    }

    /// What an auditor keeps.
    pub fn trust(&self) -> Value {
        use base64::Engine as _;
        let key = base64::engine::general_purpose::STANDARD.encode(self.key.spki());
        let path = self.folder.path().join("anchors");
        serde_json::json!({
            "v": 1,
            "origin": "rack-gateway/acme/dev",
            "keys": [{ "public_key": key }],
            "store": { "kind": "file", "path": path.to_str().unwrap() },
            "development": true,
        })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// An event of somebody.
pub fn event(action: &str, number: u32) -> Event {
    Event {
        actor: Some(Actor { kind: "User".to_owned(), id: format!("u-{number}") }),
        source_ip: Some("192.0.2.1".parse().unwrap()),
        resource: Some(format!("App::shop-{number}")),
        message: Some(format!("number {number}")),
        ..Event::new(EventKind::Admin, format!("r-{number}"), action.to_owned())
    }
}

/// The numbers of what was found.
pub fn numbers(found: &Value) -> Vec<u64> {
    found["items"].as_array().unwrap().iter().map(|item| item["seq"].as_u64().unwrap()).collect()
}
