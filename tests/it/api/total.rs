//! Every row of the gateway's own API × every kind of caller: status, and exactly these records.

use rack_gateway::identity::{Arrival, Rules};
use rack_gateway::routes::{API, Row};
use rack_gateway::store::{NewDevice, UserRow};
use serde_json::{Value, json};

use super::{admit, at_the_browser, at_the_cli, from_page, machine, person, run, silent, somebody, with};
use crate::harness::{Db, Gateway};
use crate::replay::peer::Message;
use crate::rows::CountingRack;
use crate::sign_in::Send;

const PEOPLE: &[&str] = &["viewer", "ops", "deployer", "admin", "security", "auditor"];
const MACHINES: &[&str] = &["viewer", "ops", "deployer", "admin", "security", "auditor", "cicd"];

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Stranger,
    Cli(&'static str),
    Page(&'static str),
    Machine(&'static str),
    Run,
    Locked,
    Expired,
    Revoked,
}

fn callers() -> Vec<Caller> {
    let people = PEOPLE.iter().flat_map(|role| [Caller::Cli(role), Caller::Page(role)]);
    let machines = MACHINES.iter().map(|role| Caller::Machine(role));
    let others = [Caller::Stranger, Caller::Run, Caller::Locked, Caller::Expired, Caller::Revoked];
    people.chain(machines).chain(others).collect()
}

/// Written by hand, so that the policies are checked against something that is not Cedar: whether the
/// caller may do this to somebody else.
fn may(caller: Caller, row: &Row) -> bool {
    let oversight = |role: &str| ["admin", "security", "auditor"].contains(&role);
    let (role, is_person) = match caller {
        Caller::Cli(role) | Caller::Page(role) => (role, true),
        Caller::Machine(role) => (role, false),
        Caller::Run => ("run", false),
        Caller::Stranger | Caller::Locked | Caller::Expired | Caller::Revoked => return false,
    };
    match row.action {
        "cli-login:confirm" => matches!(caller, Caller::Page(_)),
        // Nobody does that for somebody else.
        "cli-token:create" => false,
        "deploy-approval:create" if is_person => ["deployer", "admin"].contains(&role),
        "deploy-approval:create" => role == "cicd",
        "deploy-approval:list" => role != "run",
        _ if row.groups.contains(&"approval-read") => oversight(role),
        _ if row.groups.contains(&"own-factors") => false,
        _ if row.groups.contains(&"account") => true,
        _ if row.groups.contains(&"before-factor") => is_person,
        _ if row
            .groups
            .iter()
            .any(|group| ["identity-read", "settings-read", "policy-read", "audit-read"].contains(group)) =>
        {
            oversight(role)
        }
        _ => is_person && role == "admin",
    }
}

/// The status of what is allowed, and how many records tell of changes.
fn done(caller: Caller, action: &str) -> (u16, usize) {
    match action {
        "session:end" if matches!(caller, Caller::Machine(_) | Caller::Run) => (409, 0),
        "session:end" => (204, 1),
        // Nothing waits with that code.
        "cli-login:confirm" => (404, 0),
        // Nobody was asked, and challenges of others do not exist.
        "challenge:read" | "challenge:begin" | "challenge:answer" => (404, 0),
        // No commit has that name.
        "deploy-approval:create" => (422, 0),
        // Nobody asked for a deploy.
        "deploy-approval:read"
        | "deploy-approval:wait"
        | "deploy-approval:approve"
        | "deploy-approval:reject"
        | "deploy-approval:extend"
        | "deploy-approval:revoke" => (404, 0),
        // Nothing is anchored here.
        "audit:prove" | "audit:checkpoint" => (404, 0),
        // It names no sizes.
        "audit:consistency" => (400, 0),
        // What is looked for is on the record first.
        "audit:search" | "audit:export" => (200, 1),
        // The role is asked for by itself.
        "user:create" | "api-token:create" => (201, 2),
        "user:update" | "user:lock" | "session:revoke-all" | "api-token:update" | "api-token:rotate"
        | "setting:update" | "app-setting:update" | "factor:reset" => (200, 1),
        "user:delete"
        | "user:unlock"
        | "user-role:grant"
        | "user-role:revoke"
        | "session:revoke"
        | "trusted-device:revoke"
        | "api-token:revoke"
        | "api-token-role:grant"
        | "api-token-role:revoke"
        | "setting:reset"
        | "app-setting:reset" => (204, 1),
        _ => (200, 0),
    }
}

/// The id of nothing.
const UNKNOWN: &str = "0192f0c1-2b3c-7def-8123-456789abcdef";

/// A browser that this person trusts.
async fn trusted(gateway: &Gateway, user: &UserRow) -> String {
    let now = gateway.running.gate.clock.now();
    let device = NewDevice {
        id: uuid::Uuid::now_v7().to_string(),
        user_id: user.id.clone(),
        token_hash: rack_gateway::identity::Token::generate().unwrap().hash().0,
        browser: "Firefox".to_owned(),
        source_ip: "192.0.2.7".parse().unwrap(),
        expires_at: now + time::Duration::days(1),
    };
    let id = device.id.clone();
    gateway.running.gate.store.device_add(device, now).await.unwrap();
    id
}

/// What a request is about: made for it alone.
struct Objects {
    user: UserRow,
    session: String,
    device: String,
    token: String,
    setting: u64,
    app_setting: u64,
}

impl Objects {
    async fn new(gateway: &Gateway, role: &str) -> Self {
        let user = somebody(gateway, role).await;
        Self::about(gateway, user).await
    }

    async fn about(gateway: &Gateway, user: UserRow) -> Self {
        let store = &gateway.running.gate.store;
        let arrival = Arrival::web(&Rules::default());
        let session = arrival.id().to_owned();
        admit(gateway, arrival, Some(&user)).await;
        let device = trusted(gateway, &user).await;
        let issuer = silent(gateway);
        let end = issuer.now + time::Duration::days(1);
        let token = issuer.api_token("object", &["viewer".to_owned()], end).await.unwrap();
        let token = store.credential_find(&token.hash().0).await.unwrap().unwrap().id;
        let settings = store.setting_list().await.unwrap();
        let setting = settings.iter().find(|row| row.name == "session_max_hours").map_or(0, |row| row.version);
        let app_settings = store.app_setting_list("shop").await.unwrap();
        let app_setting = app_settings.first().map_or(0, |row| row.version);
        Self { user, session, device, token, setting, app_setting }
    }

    fn path(&self, row: &Row, role: &str) -> String {
        row.path
            .replace("{user}", &self.user.id)
            .replace("{session}", &self.session)
            .replace("{device}", &self.device)
            .replace("{challenge}", UNKNOWN)
            .replace("{factor}", UNKNOWN)
            .replace("{code}", "BBBB-BBBB-BBBB")
            .replace("{app}", "shop")
            .replace("{approval}", UNKNOWN)
            .replace("{token}", &self.token)
            .replace("{role}", role)
            .replace("{app}", "shop")
            .replace("{setting}", if row.path.contains("{app}") { "deploy_commands" } else { "session_max_hours" })
            .replace("{seq}", "1")
    }

    fn version(&self, row: &Row) -> u64 {
        match row.action {
            "setting:update" | "setting:reset" => self.setting,
            "app-setting:update" | "app-setting:reset" => self.app_setting,
            _ => 1,
        }
    }
}

fn body(row: &Row) -> Option<Value> {
    let fresh = uuid::Uuid::now_v7();
    Some(match row.action {
        "user:create" => json!({ "email": format!("{fresh}@example.com"), "roles": ["ops"] }),
        "user:update" => json!({ "name": "Another" }),
        "user:lock" => json!({ "reason": "left" }),
        "cli-token:create" => json!({ "name": "laptop" }),
        "api-token:create" => json!({ "name": fresh.to_string(), "roles": ["admin"], "expires_in_days": 1 }),
        "api-token:update" => json!({ "apps": ["shop"] }),
        "api-token:rotate" => json!({}),
        "setting:update" => json!({ "value": 13 }),
        "app-setting:update" => json!({ "value": ["bin/migrate"] }),
        "cli-login:confirm" => json!({ "user_code": "BCDF-GHJK", "approve": true }),
        "challenge:answer" => json!({ "method": "totp", "code": "123456" }),
        "factor:create" => json!({ "kind": "totp", "name": "Phone" }),
        "factor:confirm" => json!({ "code": "123456" }),
        "factor:update" => json!({ "name": "Tablet" }),
        "factor:prefer" => json!({ "method": "totp" }),
        "deploy-approval:create" => json!({ "commit": "HEAD", "message": "Fix" }),
        "deploy-approval:approve" => json!({}),
        "deploy-approval:reject" | "deploy-approval:revoke" => json!({ "reason": "not now" }),
        _ => return None,
    })
}

/// The request of a row, complete but for who asks.
fn request<'a>(row: &Row, target: &'a str, version: u64) -> Send<'a> {
    let send = match body(row) {
        Some(body) => Send::json(row.kind.method(), target, &body),
        None => Send { method: row.kind.method(), ..Send::get(target) },
    };
    if row.contract.headers.is_empty() { send } else { send.header("If-Match", format!("\"v{version}\"")) }
}

async fn call(gateway: &Gateway, caller: Caller, send: Send<'_>) -> Message {
    let addr = gateway.addr();
    let store = &gateway.running.gate.store;
    let now = gateway.running.gate.clock.now();
    let token = match caller {
        Caller::Stranger => return send.to(addr).await,
        Caller::Page(role) => {
            let browser = at_the_browser(gateway, &person(gateway, role).await).await;
            return from_page(&browser, addr, send).await;
        }
        Caller::Cli(role) => at_the_cli(gateway, &person(gateway, role).await).await,
        Caller::Machine(role) => machine(gateway, role).await,
        Caller::Run => run(gateway).await,
        Caller::Locked => {
            let user = somebody(gateway, "admin").await;
            store.user_lock(&user.id, "left", "test", now).await.unwrap();
            // Given out by mistake, after the lock.
            at_the_cli(gateway, &user).await
        }
        Caller::Expired => {
            let past = now - time::Duration::seconds(1);
            let token = silent(gateway).cli_token("admin@example.com", "old", None, past).await;
            token.unwrap().expose().to_owned()
        }
        Caller::Revoked => {
            let token = at_the_cli(gateway, &person(gateway, "admin").await).await;
            let row = rack_gateway::identity::Token::parse(&token).unwrap().hash();
            let row = store.credential_find(&row.0).await.unwrap().unwrap();
            store.credential_revoke(&row.id, "lost", now).await.unwrap();
            token
        }
    };
    with(&token, send).to(addr).await
}

async fn every_row_for_every_caller(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    for row in API {
        for caller in callers() {
            check(&gateway, row, caller).await;
        }
    }
    assert_eq!(rack.take(), 0, "the API is the gateway's own");
    gateway.stop_and_verify().await;
}

async fn check(gateway: &Gateway, row: &Row, caller: Caller) {
    let context = format!("{} {} by {caller:?}", row.kind, row.path);
    let objects = Objects::new(gateway, "viewer").await;
    let target = objects.path(row, "viewer");
    let answer = call(gateway, caller, request(row, &target, objects.version(row))).await;
    let allowed = may(caller, row);
    let refused = if matches!(caller, Caller::Stranger | Caller::Expired | Caller::Revoked) { 401 } else { 403 };
    let (status, changes) = if allowed { done(caller, row.action) } else { (refused, 0) };
    // What a page shows is not looked at here.
    if !row.path.starts_with("/app") || !allowed {
        assert_eq!(answer.status(), status, "{context}: {}", String::from_utf8_lossy(&answer.body));
    }
    let mut expected = vec!["denial"];
    if allowed {
        expected = vec!["intent"];
        expected.extend(vec!["admin"; changes]);
        expected.push("outcome");
    }
    let id = answer.header("rack-gateway-request-id").expect(&context);
    let records = gateway.records_until(id, expected.len()).await;
    let kinds: Vec<&str> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, expected, "{context}: {records:?}");
    if refused == 401 && !allowed {
        assert!(records[0].get("action").is_none(), "{context}: a stranger is not told apart by route");
        return;
    }
    assert_eq!(records[0]["action"], row.action, "{context}");
    assert_eq!(records[0]["decision"], if allowed { "allow" } else { "deny" }, "{context}");
    let kind = records[0]["resource"].as_str().unwrap().split("::").next().unwrap().to_owned();
    assert_eq!(kind, row.resource.entity_type(), "{context}");
    if !allowed {
        assert!(body(row).is_none() || !answer.body.is_empty(), "{context}");
    }
}

/// By no endpoint, on nobody, not even on themselves.
async fn a_viewer_becomes_nothing_else(db: Db) {
    let rack = CountingRack::start().await;
    let gateway = Gateway::start(&db, rack.addr).await;
    let store = gateway.running.gate.store.clone();
    let viewer = person(&gateway, "viewer").await;
    let people = store.user_list(None, 1000).await.unwrap();
    for row in API.iter().filter(|row| !row.path.starts_with("/app")) {
        for by in [Caller::Cli("viewer"), Caller::Page("viewer")] {
            let objects = Objects::about(&gateway, viewer.clone()).await;
            let target = objects.path(row, "admin");
            let version = if row.resource.params().is_empty() { 1 } else { viewer.version };
            let answer = call(&gateway, by, request(row, &target, version)).await;
            assert!(answer.status() < 500, "{} by {by:?}: {answer:?}", row.path);
        }
    }
    assert_eq!(store.user_find(&viewer.id).await.unwrap(), Some(viewer.clone()));
    assert_eq!(store.user_list(None, 1000).await.unwrap(), people, "nobody else changed either");
    assert!(store.setting_list().await.unwrap().is_empty());
    let held = super::ask(&gateway, &at_the_cli(&gateway, &viewer).await, Send::get("/api/v1/whoami"), 200).await;
    assert_eq!(held["roles"], json!(["viewer"]));
    gateway.stop_and_verify().await;
}

mod both {
    crate::on_both!(every_row_for_every_caller, a_viewer_becomes_nothing_else);
}
