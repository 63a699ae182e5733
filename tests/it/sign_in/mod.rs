//! Signing in, from the first request to what the session may do, against a provider that can lie.

mod browser;
mod ci;
mod cli;
mod people;
mod web;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rack_gateway::config::WorkloadSettings;
use rack_gateway::http::{Launch, Running};
use serde_json::Value;
use url::Url;

use crate::harness::Db;
use crate::harness::gateway::launch_with;
use crate::harness::provider::Provider;
use crate::replay::peer::{Message, Wire};

/// The public name of the gateway under test.
pub const ORIGIN: &str = "https://gateway.example.com";

/// A gateway whose people sign in at `provider`; nothing of these tests reaches a rack.
pub async fn gateway(db: &Db, provider: &Provider) -> Running {
    let settings = provider.settings();
    launch_with(db, nowhere(), |launch| Launch { sign_in: Some(settings), ..launch }).await
}

/// A gateway that believes CI runs.
pub async fn believing(db: &Db, workloads: WorkloadSettings) -> Running {
    launch_with(db, nowhere(), |launch| Launch { workloads, ..launch }).await
}

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

/// A browser as far as cookies go.
#[derive(Clone, Default)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
}

/// What to send.
pub struct Send<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: String,
}

impl<'a> Send<'a> {
    pub fn get(target: &'a str) -> Self {
        Self { method: "GET", target, headers: Vec::new(), body: String::new() }
    }

    pub fn json(method: &'a str, target: &'a str, body: &Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { method, target, headers, body: body.to_string() }
    }

    pub fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends it to the gateway under its public name.
    pub async fn to(&self, addr: SocketAddr) -> Message {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| *name == "Host") {
            head += "Host: gateway.example.com\r\n";
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        let mut wire = Wire::connect(addr).await;
        wire.send(format!("{head}\r\n{}", self.body).as_bytes()).await;
        wire.message(false).await.expect("an answer")
    }
}

impl Browser {
    pub async fn send(&mut self, addr: SocketAddr, send: Send<'_>) -> Message {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let send = if cookies.is_empty() { send } else { send.header("Cookie", cookies.join("; ")) };
        let answer = send.to(addr).await;
        self.keep(&answer);
        answer
    }

    /// Keeps cookies, and looks at how they are set.
    fn keep(&mut self, answer: &Message) {
        for (_, cookie) in answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let mut parts = cookie.split("; ");
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: Vec<&str> = parts.collect();
            for needed in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(attributes.contains(&needed), "{cookie}");
            }
            assert!(name.starts_with("__Host-"), "{cookie}");
            if attributes.contains(&"Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// The session's cookie.
    pub fn session(&self) -> Option<&str> {
        self.cookies.get("__Host-rgw_session").map(String::as_str)
    }

    /// What a page of the session sends back.
    pub fn csrf(&self) -> String {
        use base64::Engine as _;
        use sha2::Digest as _;
        let digest = sha2::Sha256::new().chain_update(b"rack-gateway/csrf\0").chain_update(self.session().unwrap());
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.finalize())
    }

    /// Off to the provider.
    pub async fn leave(&mut self, addr: SocketAddr, return_to: &str) -> Url {
        let target = format!("/api/v1/auth/web/login?return_to={return_to}");
        let answer = self.send(addr, Send::get(&target)).await;
        assert_eq!(answer.status(), 303, "{}", String::from_utf8_lossy(&answer.body));
        Url::parse(answer.header("location").unwrap()).unwrap()
    }

    /// Back from it.
    pub async fn come_back(&mut self, addr: SocketAddr, url: &Url) -> Message {
        assert_eq!(url.origin().ascii_serialization(), ORIGIN, "{url}");
        let target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let send = Send::get(&target).header("Sec-Fetch-Site", "cross-site").header("Sec-Fetch-Mode", "navigate");
        self.send(addr, send.header("Accept", "text/html")).await
    }

    /// The whole way, as whoever the provider vouches for.
    pub async fn sign_in(&mut self, addr: SocketAddr, provider: &Provider) -> Message {
        let url = self.leave(addr, "/app").await;
        self.come_back(addr, &provider.visit(&url)).await
    }
}

/// The body as JSON.
pub fn json(answer: &Message) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&answer.body)))
}

/// An account that an administrator made.
pub async fn invite(running: &Running, email: &str, roles: &[&str]) -> String {
    use rack_gateway::store::NewUser;
    let new = NewUser {
        id: uuid::Uuid::now_v7().to_string(),
        email: email.to_owned(),
        name: email.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        groups: Vec::new(),
        binding: None,
        created_by: None,
    };
    running.gate.store.user_create(new, running.gate.clock.now()).await.unwrap().id
}
