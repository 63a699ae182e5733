//! Deploy approvals through the real server: asking, approving, waiting, ending, and what nobody should get
//! away with.

mod asking;
mod database;
mod factors;
mod life;
mod lists;
mod races;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rack_gateway::clock::Clock;
use rack_gateway::dev::rack::RackServer;
use rack_gateway::http::{Launch, PolicySource};
use rack_gateway::store::{ApprovalRow, NewApproval, Party, Store, UserRow};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::api::{ask, at_the_cli, plain, somebody, with};
use crate::gateway::dev_rack;
use crate::harness::gateway::{launch_with, without_step_up};
use crate::harness::policies::Policies;
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;
use crate::sign_in::Send;

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// An app of the development rack.
pub const APP: &str = "myapp";

/// A gateway in front of a development rack, with a clock that a test moves.
pub struct Scene {
    pub gateway: Gateway,
    pub rack: RackServer,
    ahead: Arc<AtomicI64>,
}

/// An admin with a session.
pub struct Admin {
    pub user: UserRow,
    pub token: String,
}

impl Scene {
    pub async fn new(db: &Db) -> Self {
        Self::with(db, without_step_up()).await
    }

    pub async fn with(db: &Db, policy: PolicySource) -> Self {
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = Clock::from_fn({
            let ahead = Arc::clone(&ahead);
            move || OffsetDateTime::now_utc() + Duration::seconds(ahead.load(Ordering::Relaxed))
        });
        let rack = dev_rack();
        let running = launch_with(db, rack.addr, |launch| Launch { policy, clock, ..launch }).await;
        Self { gateway: Gateway::of(running).await, rack, ahead }
    }

    /// One where production needs two approvals.
    pub async fn with_quorum(db: &Db) -> (Self, Policies) {
        let policies = Policies::copy();
        policies.write("policies/quorum.cedar", QUORUM);
        let policy = PolicySource { dir: Some(policies.dir()), ..without_step_up() };
        (Self::with(db, policy).await, policies)
    }

    pub fn addr(&self) -> SocketAddr {
        self.gateway.addr()
    }

    pub fn store(&self) -> &Store {
        &self.gateway.running.gate.store
    }

    pub fn now(&self) -> OffsetDateTime {
        self.gateway.running.gate.clock.now()
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.ahead.fetch_add(time.whole_seconds(), Ordering::Relaxed);
    }

    pub async fn ask(&self, token: &str, send: Send<'_>, status: u16) -> Value {
        ask(&self.gateway, token, send, status).await
    }

    /// Somebody new with the role of admins.
    pub async fn admin(&self) -> Admin {
        let user = somebody(&self.gateway, "admin").await;
        let token = at_the_cli(&self.gateway, &user).await;
        Admin { user, token }
    }

    /// A CI token that this admin makes; its id and its secret.
    pub async fn token_of(&self, admin: &Admin, name: &str) -> (String, String) {
        let body = json!({ "name": name, "roles": ["cicd"], "expires_in_days": 30 });
        let made = self.ask(&admin.token, Send::json("POST", "/api/v1/api-tokens", &body), 201).await;
        (text(&made["token"]["id"]), text(&made["secret"]))
    }

    /// Asks for a deploy of the app.
    pub async fn request(&self, token: &str, body: &Value, status: u16) -> Value {
        self.request_of(APP, token, body, status).await
    }

    pub async fn request_of(&self, app: &str, token: &str, body: &Value, status: u16) -> Value {
        let target = format!("/api/v1/apps/{app}/deploy-approvals");
        self.ask(token, Send::json("POST", &target, body), status).await
    }

    /// A deed on a request: `approve`, `reject`, `revoke`.
    pub async fn deed(&self, token: &str, made: &Value, deed: &str, body: &Value, status: u16) -> Value {
        let target = format!("{}/{deed}", path(made));
        self.ask(token, Send::json("POST", &target, body), status).await
    }

    pub async fn approve(&self, token: &str, made: &Value, status: u16) -> Value {
        self.deed(token, made, "approve", &json!({}), status).await
    }

    pub async fn extend(&self, token: &str, made: &Value, status: u16) -> Value {
        let target = format!("{}/extend", path(made));
        self.ask(token, plain("POST", &target), status).await
    }

    pub async fn read(&self, token: &str, made: &Value, status: u16) -> Value {
        self.ask(token, Send::get(&path(made)), status).await
    }

    /// The same without a look at the status.
    pub async fn send(&self, token: &str, send: Send<'_>) -> Message {
        with(token, send).to(self.addr()).await
    }

    pub async fn row(&self, made: &Value) -> ApprovalRow {
        self.store().approval_find(&text(&made["id"])).await.unwrap().unwrap()
    }

    /// The notices of a request, in order of time.
    pub async fn notices(&self, made: &Value) -> Vec<String> {
        let due = self.store().outbox_due(self.now() + Duration::days(1), 10_000).await.unwrap();
        let mut mine: Vec<_> = due.into_iter().filter(|message| message.data["id"] == made["id"]).collect();
        mine.sort_by(|a, b| a.id.cmp(&b.id));
        mine.into_iter().map(|message| message.kind).collect()
    }

    pub async fn stop(self) {
        self.gateway.stop_and_verify().await;
        self.rack.stop().await;
    }
}

const QUORUM: &str = "@id(\"quorum.production\")
@why(\"a deploy to production needs two approvals\")
forbid (principal, action == Action::\"deploy-approval:grant\", resource is DeployApproval)
when { resource.app.environment == \"production\" && resource.approvals < 2 };
";

/// What asks for a commit.
pub fn wanted(commit: &str) -> Value {
    json!({ "commit": commit, "message": "Fix the basket" })
}

pub fn path(made: &Value) -> String {
    format!("/api/v1/apps/{}/deploy-approvals/{}", made["app"].as_str().unwrap(), made["id"].as_str().unwrap())
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A request in the database, of a token that nobody made.
pub fn stored(id: &str, app: &str, commit: &str, now: OffsetDateTime) -> NewApproval {
    NewApproval {
        id: id.to_owned(),
        app: app.to_owned(),
        commit: commit.to_owned(),
        branch: None,
        message: "Fix".to_owned(),
        pr_url: None,
        ci: None,
        requester: Party::new("ApiToken", "t1"),
        deployer: Party::new("ApiToken", "t1"),
        users: vec!["u1".to_owned(), "u2".to_owned()],
        expires_at: now + Duration::hours(1),
        running_release: Some("R1".to_owned()),
        parent_release: Some("R2".to_owned()),
        env_changes: vec!["B".to_owned(), "A".to_owned()],
    }
}
