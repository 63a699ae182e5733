//! A client that sends exactly what it is told.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rack_gateway::dev::rack::{Rack, RackOptions, RackServer};

/// The password of the racks in these tests.
pub(super) const PASSWORD: &str = "made-up";

/// No test waits longer than this for the rack.
const PATIENCE: Duration = Duration::from_secs(20);

/// A rack that builds at once and whose logs beat quickly.
pub(super) fn rack() -> RackServer {
    rack_with(|_| ())
}

pub(super) fn rack_with(choose: impl FnOnce(&mut RackOptions)) -> RackServer {
    let mut options = RackOptions {
        password: PASSWORD.to_owned(),
        build_time: Duration::ZERO,
        heartbeat: Duration::from_millis(20),
        ..RackOptions::default()
    };
    choose(&mut options);
    Rack::start("127.0.0.1:0", options).unwrap()
}

pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

/// Bytes of a request with the right credentials.
pub(super) fn head(method: &str, target: &str, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let mut out = format!("{method} {target} HTTP/1.1\r\nHost: rack.test\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        out += &format!("Authorization: {}\r\n", basic("convox", PASSWORD));
    }
    for (name, value) in headers {
        out += &format!("{name}: {value}\r\n");
    }
    if length > 0 || !matches!(method, "GET" | "DELETE" | "HEAD") {
        out += &format!("Content-Length: {length}\r\n");
    }
    out += "\r\n";
    out.into_bytes()
}

/// Sends a request on a connection of its own.
pub(super) fn call(rack: &RackServer, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut bytes = head(method, target, headers, body.len());
    bytes.extend_from_slice(body);
    send(rack, &bytes, method == "HEAD")
}

pub(super) fn get(rack: &RackServer, target: &str) -> Answer {
    call(rack, "GET", target, &[], b"")
}

/// Sends a form.
pub(super) fn form(rack: &RackServer, method: &str, target: &str, body: &str) -> Answer {
    call(rack, method, target, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
}

/// Sends bytes and reads one answer.
pub(super) fn send(rack: &RackServer, bytes: &[u8], head_only: bool) -> Answer {
    let mut wire = Wire::connect(rack);
    wire.stream.write_all(bytes).unwrap();
    wire.answer(head_only)
}

/// A connection.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    pub(super) fn connect(rack: &RackServer) -> Self {
        let stream = TcpStream::connect(rack.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    /// Reads more; false at the end.
    pub(super) fn fill(&mut self) -> bool {
        let mut piece = [0; 65536];
        let count = self.stream.read(&mut piece).unwrap();
        self.buffer.extend_from_slice(&piece[..count]);
        count > 0
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill(), "the rack closed after {} of {count} bytes", self.buffer.len());
        }
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line = self.take(at + 2);
                return String::from_utf8(line[..at].to_vec()).unwrap();
            }
            assert!(self.fill(), "the rack closed within a line");
        }
    }

    pub(super) fn answer(&mut self, head_only: bool) -> Answer {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").unwrap();
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if !head_only && status != 101 {
            answer.body = self.body(&answer);
        }
        answer
    }

    fn body(&mut self, answer: &Answer) -> Vec<u8> {
        if let Some(length) = answer.header("content-length") {
            return self.take(length.parse().unwrap());
        }
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "{:?}", answer.headers);
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line(), 16).unwrap();
            let chunk = self.take(size + 2);
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return body;
            }
        }
    }
}

/// A frame: whether it ends its message, opcode, payload.
pub(super) type Frame = (bool, u8, Vec<u8>);

/// A socket.
pub(super) struct Socket {
    pub(super) wire: Wire,
}

impl Socket {
    /// Opens a socket that must be upgraded.
    pub(super) fn open(rack: &RackServer, target: &str, headers: &[(&str, &str)]) -> Self {
        let (socket, answer) = Self::dial(rack, target, headers);
        assert_eq!(answer.status, 101, "{}", answer.text());
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        socket
    }

    /// The key and its answer are those of RFC 6455 1.3.
    pub(super) fn dial(rack: &RackServer, target: &str, headers: &[(&str, &str)]) -> (Self, Answer) {
        let mut all = vec![
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ];
        all.extend_from_slice(headers);
        let mut wire = Wire::connect(rack);
        wire.stream.write_all(&head("GET", target, &all, 0)).unwrap();
        let answer = wire.answer(false);
        (Self { wire }, answer)
    }

    pub(super) fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mask = [1u8, 2, 3, 4];
        let mut out = vec![0x80 | opcode];
        match u8::try_from(payload.len()) {
            Ok(length) if length < 126 => out.push(0x80 | length),
            _ => {
                out.push(0x80 | 126);
                out.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        out.extend_from_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.wire.stream.write_all(&out).unwrap();
    }

    pub(super) fn text(&mut self, payload: &str) {
        self.send(1, payload.as_bytes());
    }

    /// What the CLI sends at the end of its input.
    pub(super) fn end(&mut self) {
        self.send(2, b"");
    }

    pub(super) fn frame(&mut self) -> Frame {
        let head = self.wire.take(2);
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        assert_eq!(head[0] & 0x70, 0, "no extension was agreed on");
        let length = match head[1] {
            126 => u16::from_be_bytes(self.wire.take(2).try_into().unwrap()).into(),
            127 => usize::try_from(u64::from_be_bytes(self.wire.take(8).try_into().unwrap())).unwrap(),
            length => length.into(),
        };
        (head[0] & 0x80 != 0, head[0] & 0x0f, self.wire.take(length))
    }

    /// Payload of the next frame, which must be a whole text message.
    pub(super) fn message(&mut self) -> String {
        let (fin, opcode, payload) = self.frame();
        assert!(fin && opcode == 1, "not a text message: {fin} {opcode} {payload:?}");
        String::from_utf8_lossy(&payload).into_owned()
    }

    /// Text of all frames up to the empty binary one.
    pub(super) fn rest(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let (_, opcode, payload) = self.frame();
            if opcode == 2 {
                assert!(payload.is_empty());
                return all;
            }
            all.push(String::from_utf8_lossy(&payload).into_owned());
        }
    }
}
