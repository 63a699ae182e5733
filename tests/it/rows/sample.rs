//! A well-formed request for a row, and a rack that counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use rack_gateway::routes::{Body, Kind, Row};
use tokio::net::TcpListener;

use crate::replay::peer::{Message, Wire};

/// A path of the row with made-up names.
pub fn path(row: &Row) -> String {
    let parts = row.path.split('/').map(|part| match part {
        "{key...}" => "tmp/0123456789abcdef0123456789abcd.tgz",
        "{server...}" => "registry.example.com/v1",
        "{app}" => "myapp",
        "{build}" => "BAPUEAILLHO",
        "{build}.tgz" => "BAPUEAILLHO.tgz",
        "{release}" => "RHIKWSMIWSB",
        "{process}" => "web-aehai-2",
        "{service}" => "web",
        "{resource}" => "database",
        "{config}" => "cfg1",
        "{certificate}" => "cert-zxmoprrs",
        "{instance}" => "ip-10-0-0-2",
        "{host}" => "db.internal",
        "{port}" => "5432",
        "{organization}" => "acme",
        "{rack}" => "dev",
        "{challenge}" => "0192f0c1-2b3c-7def-8123-456789abcdef",
        literal => {
            assert!(!literal.contains('{'), "no sample for {literal}");
            literal
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// The request as bytes.
pub fn request(row: &Row, host: SocketAddr, authorization: Option<&str>) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", row.kind.method(), path(row));
    if let Some(value) = authorization {
        head += &format!("Authorization: {value}\r\n");
    }
    if row.kind == Kind::Socket {
        head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        head += "Sec-WebSocket-Key: j1p6Oko7l6ZS+XPD7QBSSg==\r\n\r\n";
        return head.into_bytes();
    }
    let body = match row.contract.body {
        Body::None => String::new(),
        Body::Form { keys, .. } => {
            head += "Content-Type: application/x-www-form-urlencoded\r\n";
            keys.iter().map(|key| format!("{key}=1")).collect::<Vec<_>>().join("&")
        }
        Body::Inspect { .. } => "{}".to_owned(),
        Body::Stream => "some bytes".to_owned(),
        Body::Json { .. } => {
            head += "Content-Type: application/json\r\n";
            "{}".to_owned()
        }
    };
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}").into_bytes()
}

/// A rack that says ok to everything, and counts.
#[derive(Clone)]
pub struct CountingRack {
    pub addr: SocketAddr,
    seen: Arc<AtomicU32>,
    last: Arc<Mutex<Option<Message>>>,
}

impl CountingRack {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let rack = Self { addr, seen: Arc::default(), last: Arc::default() };
        let shared = rack.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Wire::new(stream), shared.clone()));
            }
        });
        rack
    }

    /// How many requests since the last call.
    pub fn take(&self) -> u32 {
        self.seen.swap(0, Ordering::SeqCst)
    }

    /// What it received last.
    pub fn last(&self) -> Option<Message> {
        self.last.lock().unwrap().clone()
    }
}

async fn serve(mut wire: Wire, rack: CountingRack) {
    while let Some(message) = wire.message(false).await {
        // The gateway asks for a sign of life when it is asked whether it is ready.
        if message.start.starts_with("GET /check ") {
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await;
            continue;
        }
        if let Some(answer) = errand(&message) {
            wire.send(&answer).await;
            continue;
        }
        rack.seen.fetch_add(1, Ordering::SeqCst);
        *rack.last.lock().unwrap() = Some(message.clone());
        if let Some(key) = message.header("sec-websocket-key") {
            wire.send(&upgraded(key)).await;
            return;
        }
        let answer: &[u8] = match message.start.split(' ').next() {
            Some("HEAD") => b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
            Some("POST") if message.start.contains("/releases HTTP") => {
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"id\":\"RNEW\"}"
            }
            _ => b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n",
        };
        wire.send(answer).await;
    }
}

/// What a rack says to a read that the gateway makes itself, to know what a request means: an app with one release
/// and without variables; none for requests of others.
pub fn errand(request: &Message) -> Option<Vec<u8>> {
    if request.header("convox-actor") != Some("rack-gateway") {
        return None;
    }
    let target = request.start.split(' ').nth(1).unwrap_or_default();
    if target.contains("/configs/") {
        return Some(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec());
    }
    let one = r#"{"id":"RHIKWSMIWSB","env":"","parameters":{}}"#;
    let body = if target.contains("?limit=") { format!("[{one}]") } else { one.to_owned() };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}", body.len());
    Some(format!("{head}\r\n\r\n{body}").into_bytes())
}

/// A socket that opens and ends: 101, then the empty binary frame.
pub fn upgraded(key: &str) -> Vec<u8> {
    let accept = actix_http::ws::hash_key(key.as_bytes());
    let mut out = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        std::str::from_utf8(&accept).unwrap()
    )
    .into_bytes();
    out.extend([0x82, 0x00]);
    out
}
