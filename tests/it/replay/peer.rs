//! Both ends of the wire, byte for byte: a client that sends what the CLI sent, and a rack that
//! answers what the recorded rack answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::fixture::{Exchange, Frame, Side, bytes};

/// Nothing on loopback takes this long: a test that waits longer hangs.
const HANG: Duration = Duration::from_secs(20);

/// The head of a message and its body.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{}", self.start))
    }

    /// Names in lower case; values of one name joined.
    pub fn map(&self) -> BTreeMap<String, String> {
        let mut map: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.headers {
            map.entry(name.to_ascii_lowercase()).and_modify(|all| *all += value).or_insert_with(|| value.clone());
        }
        map
    }
}

/// A connection that is read exactly.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub async fn connect(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).await.unwrap())
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// More bytes; false at the end.
    async fn fill(&mut self) -> bool {
        let mut chunk = [0; 16 << 10];
        let read = timeout(HANG, self.stream.read(&mut chunk)).await.expect("the peer says nothing").unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..read]);
        read > 0
    }

    pub async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.fill().await {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                // Bytes of a header may be anything; each becomes one char.
                return Some(line[..end].iter().map(|byte| char::from(*byte)).collect());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// A head; none when the peer has closed.
    pub async fn head(&mut self) -> Option<Message> {
        let start = self.line().await?;
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Some(Message { start, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line}"));
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// A message with its body; `bodyless` for answers to HEAD and upgrades.
    pub async fn message(&mut self, bodyless: bool) -> Option<Message> {
        let mut message = self.head().await?;
        if bodyless {
            return Some(message);
        }
        if message.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            loop {
                let size = usize::from_str_radix(self.line().await?.trim(), 16).unwrap();
                message.body.extend(self.exactly(size).await?);
                self.line().await?;
                if size == 0 {
                    return Some(message);
                }
            }
        }
        if let Some(length) = message.header("content-length").map(|value| value.parse().unwrap()) {
            message.body = self.exactly(length).await?;
        }
        Some(message)
    }

    /// Plays one side of a socket: sends its own frames, expects the other side's, in order.
    pub async fn play(&mut self, me: Side, frames: &[Frame]) -> Result<(), String> {
        for (at, frame) in frames.iter().enumerate() {
            let wire = frame.encode();
            if frame.from == me {
                self.send(&wire).await;
                continue;
            }
            let got = self.exactly(wire.len()).await.ok_or_else(|| format!("frame {at}: the peer closed"))?;
            if got != wire {
                return Err(format!("frame {at} differs: got {got:02x?}, expected {wire:02x?}"));
            }
        }
        Ok(())
    }
}

/// The request of an exchange, as the CLI wrote it, with another Host and credential.
pub fn request_bytes(exchange: &Exchange, host: SocketAddr, authorization: Option<&str>) -> Vec<u8> {
    let request = &exchange.request;
    let mut out = format!("{} {} HTTP/1.1\r\n", request.method, request.target).into_bytes();
    for (name, value) in &request.headers {
        let value = match name.as_str() {
            "Host" => host.to_string(),
            "Authorization" => match authorization {
                Some(value) => value.to_owned(),
                None => continue,
            },
            _ => value.clone(),
        };
        out.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    out.extend(b"\r\n");
    let body = bytes(request.body.as_ref());
    if request.chunked {
        for chunk in body.chunks(4000) {
            out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            out.extend(chunk);
            out.extend(b"\r\n");
        }
        out.extend(b"0\r\n\r\n");
    } else {
        out.extend(body);
    }
    out
}

/// A rack that answers what was recorded, and keeps what it received.
#[derive(Clone, Default)]
pub struct RecordedRack {
    now: Arc<Mutex<Option<Exchange>>>,
    received: Arc<Mutex<Vec<Message>>>,
    frames: Arc<Mutex<Vec<Result<(), String>>>>,
}

impl RecordedRack {
    pub async fn start() -> (Self, SocketAddr) {
        let rack = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = rack.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(shared.clone().serve(Wire::new(stream)));
            }
        });
        (rack, addr)
    }

    /// From here on, answer this.
    pub fn expect(&self, exchange: &Exchange) {
        *self.now.lock().unwrap() = Some(exchange.clone());
        self.received.lock().unwrap().clear();
        self.frames.lock().unwrap().clear();
    }

    pub fn received(&self) -> Vec<Message> {
        self.received.lock().unwrap().clone()
    }

    /// How the socket went, seen from the rack; none while it goes on.
    pub fn socket_result(&self) -> Option<Result<(), String>> {
        self.frames.lock().unwrap().first().cloned()
    }

    async fn serve(self, mut wire: Wire) {
        while let Some(message) = wire.message(false).await {
            if let Some(answer) = crate::rows::errand(&message) {
                wire.send(&answer).await;
                continue;
            }
            let exchange = self.now.lock().unwrap().clone().expect("the rack was asked before a test began");
            self.received.lock().unwrap().push(message.clone());
            if let Some(frames) = &exchange.frames {
                wire.send(&upgrade(&message)).await;
                let played = wire.play(Side::Server, frames).await;
                self.frames.lock().unwrap().push(played);
                // As the real rack: the connection stays open; whoever is done reads the end.
                while wire.fill().await {}
                return;
            }
            wire.send(&answer(&exchange)).await;
        }
    }
}

fn upgrade(request: &Message) -> Vec<u8> {
    let accept = actix_http::ws::hash_key(request.header("sec-websocket-key").unwrap().as_bytes());
    let accept = std::str::from_utf8(&accept).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

fn answer(exchange: &Exchange) -> Vec<u8> {
    let response = &exchange.response;
    let mut out = format!("HTTP/1.1 {} Recorded\r\n", response.status).into_bytes();
    for (name, value) in &response.headers {
        out.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    out.extend(b"\r\n");
    out.extend(bytes(response.body.as_ref()));
    out
}
