//! The management API through the real server: who may call what, what it changes, and what is recorded.

mod app_settings;
mod browser;
mod commands;
mod crowd;
mod destruction;
mod machines;
mod people;
mod settings;
mod total;

use std::net::SocketAddr;
use std::time::Duration;

use rack_gateway::audit::Actor;
use rack_gateway::identity::{Arrival, Issuer, Origin, Rules, WorkloadClaims};
use rack_gateway::store::UserRow;
use serde_json::Value;

use crate::harness::Gateway;
use crate::replay::peer::Message;
use crate::sign_in::{Browser, ORIGIN, Send, json};

/// A browser with a session of this person.
pub async fn at_the_browser(gateway: &Gateway, user: &UserRow) -> Browser {
    let mut browser = Browser::default();
    let token = admit(gateway, Arrival::web(&Rules::default()), Some(user)).await;
    browser.cookies.insert("__Host-rgw_session".to_owned(), token);
    browser
}

/// A fresh credential; nothing is recorded.
pub async fn admit(gateway: &Gateway, arrival: Arrival, user: Option<&UserRow>) -> String {
    let gate = &gateway.running.gate;
    let origin = Origin { source_ip: "192.0.2.7".parse().unwrap(), user_agent: Some("test") };
    let token = arrival.admit(&gate.store, user.map(|user| user.id.clone()), origin, gate.clock.now()).await;
    token.unwrap().expose().to_owned()
}

/// A fresh CLI session of this person.
pub async fn at_the_cli(gateway: &Gateway, user: &UserRow) -> String {
    admit(gateway, Arrival::cli(&Rules::default(), "laptop".to_owned()), Some(user)).await
}

/// A fresh token of a CI run.
async fn run(gateway: &Gateway) -> String {
    let claims = WorkloadClaims {
        issuer_name: "ci".to_owned(),
        issuer: "https://ci.example.com".to_owned(),
        subject: "repo:acme/shop".to_owned(),
        repository: "acme/shop".to_owned(),
        git_ref: "refs/heads/main".to_owned(),
        ref_protected: true,
        sha: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        environment: String::new(),
        run: "1".to_owned(),
        token_id: "one".to_owned(),
        expires_at: gateway.running.gate.clock.now() + Duration::from_secs(60),
    };
    admit(gateway, Arrival::workload(&Rules::default(), &claims), None).await
}

/// A fresh API token with this role.
pub async fn machine(gateway: &Gateway, role: &str) -> String {
    let issuer = silent(gateway);
    let token = issuer.api_token("machine", &[role.to_owned()], issuer.now + time::Duration::days(1)).await;
    token.unwrap().expose().to_owned()
}

/// An issuer that leaves no records of its own.
fn silent(gateway: &Gateway) -> Issuer<'_> {
    let gate = &gateway.running.gate;
    let actor = Actor { kind: "Operator".to_owned(), id: "test".to_owned() };
    Issuer::recorded(&gate.store, actor, gate.clock.now())
}

/// The person who holds this role.
pub async fn person(gateway: &Gateway, role: &str) -> UserRow {
    let found = gateway.running.gate.store.user_find_by_email(&format!("{role}@example.com")).await;
    found.unwrap().unwrap_or_else(|| panic!("nobody is {role}"))
}

/// Somebody new, with this role.
pub async fn somebody(gateway: &Gateway, role: &str) -> UserRow {
    let email = format!("{}@example.com", uuid::Uuid::now_v7());
    silent(gateway).create_user(&email, "Somebody", &[role.to_owned()]).await.unwrap()
}

/// A request with a token.
pub fn with<'a>(token: &str, send: Send<'a>) -> Send<'a> {
    send.header("Authorization", format!("Bearer {token}"))
}

/// A request from a page of this browser's session.
pub async fn from_page(browser: &Browser, addr: SocketAddr, send: Send<'_>) -> Message {
    let send =
        send.header("Origin", ORIGIN).header("Sec-Fetch-Site", "same-origin").header("X-CSRF-Token", browser.csrf());
    browser.clone().send(addr, send).await
}

/// Asks with a token for what must be answered so; gives what it holds.
pub async fn ask(gateway: &Gateway, token: &str, send: Send<'_>, status: u16) -> Value {
    let what = format!("{} {}", send.method, send.target);
    let answer = with(token, send).to(gateway.addr()).await;
    assert_eq!(answer.status(), status, "{what}: {}", String::from_utf8_lossy(&answer.body));
    if answer.body.is_empty() { Value::Null } else { json(&answer) }
}

/// A request without a body.
pub fn plain<'a>(method: &'a str, target: &'a str) -> Send<'a> {
    Send { method, ..Send::get(target) }
}
