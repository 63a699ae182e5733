//! Deploys of machines: what was approved passes, once, and nothing else does.

mod bundle;
mod cheats;
mod commands;
mod database;
mod images;
mod race;
mod story;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rack_gateway::clock::Clock;
use rack_gateway::dev::rack::RackServer;
use rack_gateway::http::Launch;
use rack_gateway::store::{ApprovalRow, ApprovalState};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::api::ask;
use crate::gateway::dev_rack;
use crate::harness::gateway::launch_with;
use crate::harness::{Db, Gateway, basic};
use crate::replay::fixture::{Data, exchanges};
use crate::replay::peer::{Message, Wire, request_bytes};
use crate::sign_in::Send;

/// An app of the development rack.
pub const APP: &str = "myapp";
/// What the images of the app are when nothing cheats.
pub const MANIFEST: &str = "services:\n  web:\n    build: .\n    port: 3000\n  worker:\n    build: .\n";

/// A gateway in front of a development rack, with a clock that a test moves.
pub struct Scene {
    pub gateway: Gateway,
    pub rack: RackServer,
    ahead: Arc<AtomicI64>,
    next: AtomicU64,
}

/// A commit that was approved for the machine.
pub struct Approved {
    pub id: String,
    pub commit: String,
}

impl Scene {
    pub async fn new(db: &Db) -> Self {
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = Clock::from_fn({
            let ahead = Arc::clone(&ahead);
            move || OffsetDateTime::now_utc() + Duration::seconds(ahead.load(Ordering::Relaxed))
        });
        let rack = dev_rack();
        let running = launch_with(db, rack.addr, |launch| Launch { clock, ..launch }).await;
        Self { gateway: Gateway::of(running).await, rack, ahead, next: AtomicU64::new(1) }
    }

    pub fn addr(&self) -> SocketAddr {
        self.gateway.addr()
    }

    pub fn ci(&self) -> &str {
        self.gateway.token("cicd")
    }

    pub fn pass(&self, time: Duration) {
        self.ahead.fetch_add(time.whole_seconds(), Ordering::Relaxed);
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn commit(&self) -> String {
        format!("{:040x}", 0xabc_0000_0000_u64 + self.number())
    }

    pub async fn request(&self, token: &str, app: &str, commit: &str) -> String {
        let body = json!({ "commit": commit, "message": "Fix the basket" });
        let target = format!("/api/v1/apps/{app}/deploy-approvals");
        let made = ask(&self.gateway, token, Send::json("POST", &target, &body), 201).await;
        made["id"].as_str().unwrap().to_owned()
    }

    pub async fn approve(&self, app: &str, id: &str) {
        let target = format!("/api/v1/apps/{app}/deploy-approvals/{id}/approve");
        let admin = self.gateway.token("admin");
        let granted = ask(&self.gateway, admin, Send::json("POST", &target, &json!({})), 200).await;
        assert_eq!(granted["state"], "approved");
    }

    /// A grant for a commit of its own.
    pub async fn approved(&self) -> Approved {
        let commit = self.commit();
        let id = self.request(self.ci(), APP, &commit).await;
        self.approve(APP, &id).await;
        Approved { id, commit }
    }

    pub async fn row(&self, id: &str) -> ApprovalRow {
        self.gateway.running.gate.store.approval_find(id).await.unwrap().unwrap()
    }

    /// Ends a grant that a test has no use for any more.
    pub async fn end(&self, id: &str) {
        if self.row(id).await.state == ApprovalState::Approved {
            let store = &self.gateway.running.gate.store;
            let now = self.gateway.running.gate.clock.now();
            store.approval_end(id, ApprovalState::Revoked, Some("test"), None, now, None).await.unwrap();
        }
    }

    /// Sends it as the `convox` command would, with this token.
    pub async fn send(
        &self,
        token: &str,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Message {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: gateway.example.com\r\n");
        head += &format!("Authorization: {}\r\n", basic(token));
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if method != "GET" {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut wire = Wire::connect(self.addr()).await;
        wire.send(&[head.as_bytes(), b"\r\n", body].concat()).await;
        wire.message(false).await.expect("an answer")
    }

    pub async fn form(&self, token: &str, target: &str, form: &[(&str, &str)]) -> Message {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(form).finish();
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send(token, "POST", target, &headers, body.as_bytes()).await
    }

    /// A recorded request of the real command, with other values in it.
    pub async fn cli(&self, token: &str, id: &str, target: Option<&str>, body: Option<&str>) -> Message {
        let all = exchanges();
        let mut exchange = all.into_iter().find(|exchange| exchange.id == id).unwrap_or_else(|| panic!("no {id}"));
        let request = &mut exchange.request;
        if let Some(target) = target {
            target.clone_into(&mut request.target);
        }
        if let Some(body) = body {
            request.body = Some(Data::Text(body.to_owned()));
            for (name, value) in &mut request.headers {
                if name == "Content-Length" {
                    *value = body.len().to_string();
                }
            }
        }
        let mut wire = Wire::connect(self.addr()).await;
        wire.send(&request_bytes(&exchange, self.addr(), Some(&basic(token)))).await;
        wire.message(false).await.expect("an answer")
    }

    pub async fn upload_as(&self, token: &str, key: &str, bytes: &[u8]) -> Message {
        self.send(token, "POST", &format!("/apps/{APP}/objects/{key}"), &[], bytes).await
    }

    /// Uploads under the grant; gives the URL.
    pub async fn uploaded(&self, bytes: &[u8]) -> String {
        let key = format!("tmp/{:030x}.tgz", self.number());
        let answer = self.upload_as(self.ci(), &key, bytes).await;
        assert_eq!(answer.status(), 200, "{}", text(&answer));
        json_of(&answer)["Url"].as_str().unwrap().to_owned()
    }

    pub async fn build(&self, form: &[(&str, &str)]) -> Message {
        self.form(self.ci(), &format!("/apps/{APP}/builds"), form).await
    }

    /// Builds what is uploaded; gives the build and its release.
    pub async fn built(&self, approved: &Approved) -> (String, String) {
        let url = self.uploaded(&bundle::good()).await;
        let answer = self.build(&[("git-sha", &approved.commit), ("url", &url)]).await;
        assert_eq!(answer.status(), 200, "{}", text(&answer));
        let build = json_of(&answer)["id"].as_str().unwrap().to_owned();
        let read = self.send(self.ci(), "GET", &format!("/apps/{APP}/builds/{build}"), &[], b"").await;
        assert_eq!(read.status(), 200, "{}", text(&read));
        (build, json_of(&read)["release"].as_str().unwrap().to_owned())
    }

    pub async fn promote_as(&self, token: &str, release: &str, form: &[(&str, &str)]) -> Message {
        self.form(token, &format!("/apps/{APP}/releases/{release}/promote"), form).await
    }

    pub async fn promote(&self, release: &str) -> Message {
        self.promote_as(self.ci(), release, &[("force", "false")]).await
    }

    /// Sets something for the app.
    pub async fn set(&self, name: &str, value: Value) {
        let target = format!("/api/v1/apps/{APP}/settings/{name}");
        let send = Send::json("PUT", &target, &json!({ "value": value })).header("If-Match", "\"v0\"");
        ask(&self.gateway, self.gateway.token("admin"), send, 200).await;
    }

    /// What the rack was asked to do, reads left out.
    pub fn deeds(&self) -> Vec<String> {
        let all = self.rack.state.received();
        let deeds = all.iter().filter(|one| one.method != "GET" || one.target().ends_with("/exec"));
        deeds.map(|one| format!("{} {}", one.method, one.target())).collect()
    }

    pub async fn stop(self) {
        self.gateway.stop_and_verify().await;
        self.rack.stop().await;
    }
}

/// What a refusal says and leaves behind.
pub struct Left<'a> {
    pub status: u16,
    /// A part of what the terminal shows.
    pub text: &'a str,
    /// How the drift on the record begins; empty when there is none.
    pub drift: &'a str,
    /// What the grant is then.
    pub state: ApprovalState,
}

/// Nothing reached the rack, the record says why, and the grant is what it must be.
pub async fn refused(scene: &Scene, what: &str, grant: &str, answer: &Message, left: &Left<'_>) {
    let shown = text(answer);
    assert_eq!(answer.status(), left.status, "{what}: {shown}");
    assert!(shown.contains(left.text), "{what}: {shown}");
    assert!(!shown.contains('%'), "{what}: {shown}");
    assert_eq!(scene.deeds(), Vec::<String>::new(), "{what}: the rack was asked");
    let id = answer.header("rack-gateway-request-id").unwrap_or_else(|| panic!("{what}: {answer:?}"));
    let records = scene.gateway.records_of(id).await;
    let [denial] = records.as_slice() else { panic!("{what}: {records:?}") };
    assert_eq!(denial["kind"], "denial", "{what}: {denial}");
    let drift = denial["detail"]["drift"].as_str().unwrap_or_default();
    assert_eq!(drift.is_empty(), left.drift.is_empty(), "{what}: {denial}");
    assert!(drift.starts_with(left.drift), "{what}: {denial}");
    let row = scene.row(grant).await;
    assert_eq!(row.state, left.state, "{what}: {row:?}");
    if !left.drift.is_empty() {
        assert_eq!(denial["detail"]["approval"], grant, "{what}: {denial}");
    }
    if left.state == ApprovalState::Revoked && !left.drift.is_empty() {
        assert_eq!(denial["detail"]["grant"], "revoked", "{what}: {denial}");
        assert!(row.reason.unwrap().starts_with(&format!("drift: {}", left.drift)), "{what}");
    }
}

pub fn text(answer: &Message) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

pub fn json_of(answer: &Message) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", text(answer)))
}
