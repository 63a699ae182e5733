//! A client that sends what it is told, as the CLI does.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;

use crate::replay::peer::{Message, Wire};

/// A request.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) headers: Vec<(&'a str, &'a str)>,
    pub(super) body: &'a [u8],
    /// Reached by its address, as the development set-up is, rather than by its public name.
    pub(super) local: bool,
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: &'a str, target: &'a str, authorization: &'a str) -> Self {
        let headers = if authorization.is_empty() { vec![] } else { vec![("Authorization", authorization)] };
        Self { method, target, headers, body: b"", local: false }
    }

    pub(super) fn get(target: &'a str, authorization: &'a str) -> Self {
        Self::new("GET", target, authorization)
    }

    pub(super) fn local(self) -> Self {
        Self { local: true, ..self }
    }

    pub(super) fn header(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn form(self, body: &'a str) -> Self {
        Self { body: body.as_bytes(), ..self.header("Content-Type", "application/x-www-form-urlencoded") }
    }

    /// The bytes of the request.
    pub(super) fn bytes(&self, addr: SocketAddr) -> Vec<u8> {
        let named = self.headers.iter().find(|(name, _)| *name == "Host").map(|(_, value)| (*value).to_owned());
        let public = if self.local { addr.to_string() } else { "gateway.example.com".to_owned() };
        let host = named.unwrap_or(public);
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.target);
        for (name, value) in self.headers.iter().filter(|(name, _)| *name != "Host") {
            head += &format!("{name}: {value}\r\n");
        }
        if !matches!(self.method, "GET" | "DELETE") || !self.body.is_empty() {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        [head.as_bytes(), b"\r\n", self.body].concat()
    }

    /// Sends it on a connection of its own, and leaves that open.
    pub(super) async fn begin(&self, addr: SocketAddr) -> Wire {
        let mut wire = Wire::connect(addr).await;
        wire.send(&self.bytes(addr)).await;
        wire
    }

    /// Sends it and reads the answer.
    pub(super) async fn send(&self, addr: SocketAddr) -> Message {
        let what = || format!("{} {}", self.method, self.target);
        self.begin(addr).await.message(false).await.unwrap_or_else(|| panic!("{}: no answer", what()))
    }
}

/// What an answer holds.
pub(super) fn json(answer: &Message) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", text(answer)))
}

pub(super) fn text(answer: &Message) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// What the CLI prints of an error.
pub(super) fn error(answer: &Message) -> String {
    json(answer)["error"].as_str().unwrap_or_else(|| panic!("no error: {answer:?}")).to_owned()
}

/// Id of the request that an answer belongs to.
pub(super) fn id(answer: &Message) -> &str {
    answer.header("rack-gateway-request-id").unwrap_or_else(|| panic!("no id: {answer:?}"))
}

/// The first byte of a frame that is whole, and its payload.
pub(super) type Frame = (u8, Vec<u8>);

pub(super) const TEXT: u8 = 0x81;
pub(super) const BINARY: u8 = 0x82;

/// The last frame of a command.
pub(super) fn exit(code: u8) -> Frame {
    (TEXT, format!("{}:{code}\n", rack_gateway::dev::rack::EXIT_SENTINEL).into_bytes())
}

/// The last frame of a socket.
pub(super) fn end() -> Frame {
    (BINARY, Vec::new())
}

/// The client's end of a websocket.
pub(super) struct Socket {
    pub(super) wire: Wire,
    /// Id of the request.
    pub(super) id: String,
    /// Bytes that were sent after the handshake.
    pub(super) sent: u64,
    /// Bytes that came after the handshake.
    pub(super) came: u64,
}

impl Socket {
    /// Asks for a socket; the answer may be anything.
    pub(super) async fn dial(
        addr: SocketAddr,
        target: &str,
        authorization: &str,
        options: &[(&str, &str)],
    ) -> (Wire, Message) {
        let mut ask = Ask::get(target, authorization)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        ask.headers.extend(options);
        let mut wire = ask.begin(addr).await;
        let head = wire.head().await.expect("an answer");
        (wire, head)
    }

    /// Opens a socket that must be upgraded.
    pub(super) async fn open(addr: SocketAddr, target: &str, authorization: &str, options: &[(&str, &str)]) -> Self {
        let (wire, head) = Self::dial(addr, target, authorization, options).await;
        assert_eq!(head.status(), 101, "{target}: {head:?}");
        // RFC 6455 1.3: the answer to this key.
        assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        let id = id(&head).to_owned();
        Self { wire, id, sent: 0, came: 0 }
    }

    /// Sends a short frame, masked.
    pub(super) async fn send(&mut self, first: u8, payload: &[u8]) {
        let mask = [1_u8, 2, 3, 4];
        let mut out = vec![first, 0x80 | u8::try_from(payload.len()).ok().filter(|length| *length < 126).unwrap()];
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.sent += out.len() as u64;
        self.wire.stream().write_all(&out).await.unwrap();
    }

    /// A short frame; none when the connection has ended.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        let head = self.wire.exactly(2).await?;
        let (first, length) = (head[0], head[1]);
        assert!(length < 126, "masked or long: {head:?}");
        self.came += 2 + u64::from(length);
        Some((first, self.wire.exactly(length.into()).await?))
    }

    /// Frames up to the empty binary one, which is the last of them.
    pub(super) async fn frames(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        loop {
            all.push(self.frame().await.unwrap_or_else(|| panic!("cut after {all:?}")));
            if all.last() == Some(&end()) {
                return all;
            }
        }
    }
}
