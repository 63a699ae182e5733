//! A rack that answers in the shapes of a real one, with secrets in every place where they may be.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rack_gateway::routes::{Redactor, Row};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::replay::peer::{Message, Wire};

/// Every one of them is a secret. None may be part of another.
pub const PLANTED: &[&str] = &[
    "planted-env-3kX9",
    "planted-listed-7mW2",
    "planted-hidden-1pQ8",
    "planted-url-5tR4",
    "planted-manifest-8vB1",
    "planted-resource-2nC6",
    "planted-parameter-4hJ7",
    "planted-registry-9dF3",
    "planted-build-6gL5",
    "planted-config-0sK2",
    "planted-command-3wZ8",
    "planted-solver-7yT1",
    "planted-key-5xN9",
    "planted-rack-1bM4",
];

/// An answer for each redactor, as JSON.
pub fn answer(redactor: Redactor, is_list: bool) -> Value {
    let one = match redactor {
        Redactor::Rack => json!({
            "count": 2, "domain": "router.example.test", "name": "dev", "outputs": {"HubToken": "planted-rack-1bM4"},
            "parameters": {"docker_hub_password": "planted-parameter-4hJ7", "imds_http_tokens": "required",
                "private": "true", "syslog": "tcp+tls://u:planted-rack-1bM4@logs.example.test:601"},
            "provider": "aws", "rack-domain": "rack.example.test", "status": "running", "version": "3.24.9",
        }),
        Redactor::RackRelease => json!({"id": "3.24.9", "app": "", "build": "", "env": "A=planted-rack-1bM4\nB=x"}),
        Redactor::RackProcess | Redactor::Process => json!({
            "id": "web-1", "app": "myapp", "command": "bin/web --password planted-command-3wZ8 --port 3000",
            "cpu": 0.1, "name": "web", "ports": [], "release": "RABCDEFGHI", "status": "running",
        }),
        Redactor::RackResource | Redactor::Resource => json!({
            "name": "database", "parameters": {"Class": "small", "MasterPassword": "planted-resource-2nC6"},
            "status": "running", "type": "postgres",
            "url": "postgres://app:planted-url-5tR4@db.example.test:5432/app?sslpassword=planted-resource-2nC6",
            "apps": [{"name": "myapp", "parameters": {"ApiToken": "planted-parameter-4hJ7"}}],
        }),
        Redactor::Registry => json!({
            "server": "registry.example.test", "username": "puller", "password": "planted-registry-9dF3",
        }),
        Redactor::LetsEncrypt => json!({
            "role": "arn:aws:iam::123456789012:role/cert-manager",
            "solvers": [{"dns": {"api-token": "planted-solver-7yT1", "zone": "example.test"}}],
        }),
        Redactor::InstanceKey => json!({
            "name": "dev-keypair-1",
            "private-key": "-----BEGIN RSA PRIVATE KEY-----\nplanted-key-5xN9\n-----END RSA PRIVATE KEY-----\n",
        }),
        Redactor::App => json!({
            "generation": "3", "locked": false, "name": "myapp", "release": "RABCDEFGHI", "status": "running",
            "parameters": {"BuildCpu": "500", "WebhookSecret": "planted-parameter-4hJ7"},
        }),
        Redactor::ServiceManifest => json!({
            "name": "web", "environment": ["GREETING=hello", "API_TOKEN=planted-env-3kX9", "BARE"],
            "scale": {"min": 1, "max": 2},
        }),
        Redactor::Build => json!({
            "id": "BABCDEFGHI", "app": "myapp", "git-sha": "3f786850e387550fdab836ed7e6dc881de23001b",
            "manifest": "services:\n  web:\n    environment:\n      - API_TOKEN=planted-manifest-8vB1\n",
            "repository": "https://docker:planted-build-6gL5@registry.example.test/myapp", "status": "complete",
            "logs": "object://myapp/logs/1",
        }),
        Redactor::Config => json!({"name": "app.conf", "value": "anything planted-config-0sK2 at all"}),
        Redactor::Release => release(ENV),
    };
    if is_list { json!([one]) } else { one }
}

/// One plain variable and every kind of secret.
pub const ENV: &str = concat!(
    "API_TOKEN=planted-env-3kX9\nCACHE=redis://:planted-url-5tR4@cache:6379\nGREETING=hello\n",
    "INTERNAL_NAME=planted-hidden-1pQ8\nLICENCE=planted-listed-7mW2",
);
/// Of them, the names that `cli-env-mask` lists.
pub const ENV_MASK: &str = "INTERNAL_NAME, licence";

pub fn release(env: &str) -> Value {
    json!({
        "id": "RABCDEFGHI", "app": "myapp", "build": "BABCDEFGHI", "env": env,
        "manifest": "environment:\n  - API_TOKEN=planted-manifest-8vB1\n", "description": "",
        "created": "2026-01-01T00:00:00Z",
    })
}

/// As a rack writes it: two spaces, and a line break at the end.
pub fn written(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// Whether the row answers with a list.
pub fn is_list(row: &Row) -> bool {
    row.action.ends_with(":list")
}

/// Status and body.
pub type Said = (u16, Vec<u8>);

/// Says what the test wants it to say.
#[derive(Clone)]
pub struct SpeakingRack {
    pub addr: SocketAddr,
    says: Arc<Mutex<Said>>,
    /// Of `cli-env-mask`.
    mask: Arc<Mutex<Said>>,
    /// Requests that were no look-ups of the mask.
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl SpeakingRack {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mask = json!({"name": "cli-env-mask", "value": ENV_MASK}).to_string();
        let rack = Self {
            addr,
            says: Arc::new(Mutex::new((200, b"ok\n".to_vec()))),
            mask: Arc::new(Mutex::new((200, mask.into_bytes()))),
            seen: Arc::default(),
        };
        let shared = rack.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Wire::new(stream), shared.clone()));
            }
        });
        rack
    }

    pub fn say(&self, status: u16, body: impl Into<Vec<u8>>) {
        *self.says.lock().unwrap() = (status, body.into());
    }

    pub fn say_mask(&self, status: u16, body: impl Into<Vec<u8>>) {
        *self.mask.lock().unwrap() = (status, body.into());
    }
}

async fn serve(mut wire: Wire, rack: SpeakingRack) {
    while let Some(message) = wire.message(false).await {
        let (status, body) = reply(&rack, &message);
        if let Some(key) = message.header("sec-websocket-key") {
            wire.send(&crate::rows::upgraded(key)).await;
            return;
        }
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        wire.send(head.as_bytes()).await;
        if !message.start.starts_with("HEAD ") {
            wire.send(&body).await;
        }
    }
}

fn reply(rack: &SpeakingRack, message: &Message) -> Said {
    if message.start.starts_with("GET /check ") {
        return (200, b"ok\n".to_vec());
    }
    if message.start.starts_with("GET /apps/myapp/configs/cli-env-mask ") {
        return rack.mask.lock().unwrap().clone();
    }
    if let Some(answer) = crate::rows::errand(message) {
        let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        return (200, answer[body..].to_vec());
    }
    rack.seen.lock().unwrap().push(message.start.clone());
    rack.says.lock().unwrap().clone()
}
