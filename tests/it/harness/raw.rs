//! Bytes on the wire, exactly: a server and a client that know only as much HTTP and websocket as
//! they are told. The test is the script: it accepts a connection, reads what came and says what to
//! answer, so nothing has to be timed.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Nothing in a test takes this long; a test that waits for it hangs.
const HANG: Duration = Duration::from_secs(20);

/// Waits for what must happen.
#[track_caller]
pub(crate) fn soon<F: Future>(what: &'static str, future: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move { timeout(HANG, future).await.unwrap_or_else(|_| panic!("{what}: nothing happened, at {place}")) }
}

/// What a connection runs over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A listener on the loopback address.
#[derive(Debug)]
pub(crate) struct RawServer {
    listener: TcpListener,
}

impl RawServer {
    pub(crate) async fn bind() -> Self {
        Self { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port") }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }

    pub(crate) async fn accept_tcp(&self) -> TcpStream {
        let (tcp, _) = soon("accept", self.listener.accept()).await.expect("a connection");
        tcp.set_nodelay(true).expect("no delay");
        tcp
    }

    pub(crate) async fn accept(&self) -> Conn {
        Conn::new(self.accept_tcp().await)
    }

    /// Whether nobody has connected. Only means something once what could have connected is over.
    pub(crate) async fn is_untouched(&self) -> bool {
        // One turn of the reactor, so that a connection in the backlog is seen.
        timeout(Duration::from_millis(1), self.listener.accept()).await.is_err()
    }
}

/// One connection, from either side, and the bytes that were read beyond what was asked for.
pub(crate) struct Conn {
    io: Box<dyn Io>,
    ahead: Vec<u8>,
}

impl Conn {
    pub(crate) fn new(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), ahead: Vec::new() }
    }

    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let tcp = soon("connect", TcpStream::connect(addr)).await.expect("a connection");
        tcp.set_nodelay(true).expect("no delay");
        Self::new(tcp)
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("written");
    }

    /// For a peer that may have left.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        soon("write", async {
            self.io.write_all(bytes.as_ref()).await?;
            self.io.flush().await
        })
        .await
    }

    /// Ends this direction in good order (TLS: `close_notify`).
    pub(crate) async fn finish(&mut self) {
        soon("shutdown", self.io.shutdown()).await.expect("shut down");
    }

    /// Reads once; false at the end or when the peer broke off.
    async fn more(&mut self) -> bool {
        matches!(soon("read", self.io.read_buf(&mut self.ahead)).await, Ok(1..))
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.ahead.drain(..bytes).collect()
    }

    pub(crate) async fn read_exact(&mut self, bytes: usize) -> Vec<u8> {
        while self.ahead.len() < bytes {
            assert!(self.more().await, "ended at {:?}", String::from_utf8_lossy(&self.ahead));
        }
        self.take(bytes)
    }

    /// Up to and including `end`.
    pub(crate) async fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(place) = self.ahead.windows(end.len()).position(|window| window == end) {
                return self.take(place + end.len());
            }
            assert!(self.more().await, "ended at {:?}", String::from_utf8_lossy(&self.ahead));
        }
    }

    /// Waits until these bytes have come, and leaves them.
    pub(crate) async fn wait_for(&mut self, bytes: &[u8]) {
        while !self.ahead.windows(bytes.len()).any(|window| window == bytes) {
            assert!(self.more().await, "ended at {:?}", String::from_utf8_lossy(&self.ahead));
        }
    }

    /// Everything up to the end, or to where the peer broke off.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.ahead)
    }

    /// The head of a request or of an answer.
    pub(crate) async fn head(&mut self) -> Head {
        Head::parse(&self.read_until(b"\r\n\r\n").await)
    }

    /// The next head; waits for ever if the peer has left.
    pub(crate) async fn next_head(&mut self) -> Head {
        while self.ahead.is_empty() {
            if !self.more().await {
                return std::future::pending().await;
            }
        }
        self.head().await
    }

    /// A chunked body, decoded; `None` if it breaks off.
    pub(crate) async fn chunked(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(&line, 16).expect("the size of a chunk");
            while self.ahead.len() < size + 2 {
                if !self.more().await {
                    return None;
                }
            }
            let chunk = self.take(size + 2);
            assert_eq!(chunk[size..], *b"\r\n", "the end of a chunk");
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return Some(body);
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(place) = self.ahead.windows(2).position(|window| window == b"\r\n") {
                let line = self.take(place + 2);
                return Some(String::from_utf8_lossy(&line[..place]).into_owned());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// The body that follows `head`; `None` if it breaks off.
    pub(crate) async fn body(&mut self, head: &Head) -> Option<Vec<u8>> {
        if head.get("transfer-encoding") == Some("chunked") {
            return self.chunked().await;
        }
        let length = head.get("content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.ahead.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.take(length))
    }

    /// An answer to anything but `HEAD`.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        let body = match head.status() {
            204 | 304 => Some(Vec::new()),
            _ => self.body(&head).await,
        };
        Answer { head, body }
    }

    /// One frame, as it came.
    pub(crate) async fn frame(&mut self) -> Vec<u8> {
        let mut frame = self.read_exact(2).await;
        let length = match frame[1] & 0x7f {
            126 => {
                frame.extend(self.read_exact(2).await);
                usize::from(u16::from_be_bytes([frame[2], frame[3]]))
            }
            127 => {
                frame.extend(self.read_exact(8).await);
                usize::try_from(u64::from_be_bytes(frame[2..10].try_into().expect("8 bytes"))).expect("a length")
            }
            short => usize::from(short),
        };
        let mask = if frame[1] & 0x80 == 0 { 0 } else { 4 };
        frame.extend(self.read_exact(length + mask).await);
        frame
    }

    /// Answers a websocket handshake that was read from this connection, with `behind` in the same
    /// write.
    pub(crate) async fn accept_socket(&mut self, handshake: &Head, behind: &[u8]) {
        let key = handshake.get("sec-websocket-key").expect("a key");
        let accept = actix_http::ws::hash_key(key.as_bytes());
        let accept = String::from_utf8_lossy(&accept);
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        answer.extend_from_slice(behind);
        self.send(answer).await;
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn").field("ahead", &self.ahead.len()).finish_non_exhaustive()
    }
}

/// The request of a client that wants a websocket, as the CLI sends it.
pub(crate) fn handshake(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// A frame with this first byte (0x80 final, then the opcode), masked if there is a mask. The payload
/// is put in as it is.
pub(crate) fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let masked = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..126 => frame.push(masked | u8::try_from(length).expect("short")),
        length @ 126..=0xffff => {
            frame.push(masked | 126);
            frame.extend(u16::try_from(length).expect("medium").to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend(u64::try_from(length).expect("long").to_be_bytes());
        }
    }
    frame.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
    frame.extend_from_slice(payload);
    frame
}

/// A start line and headers; names in lower case, values as they came.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    fn parse(raw: &[u8]) -> Self {
        let mut lines = raw.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
                let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
                (name, line[colon + 1..].trim_ascii().to_vec())
            })
            .collect();
        Self { first, headers }
    }

    /// The value of a header, which must not come twice.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} twice in {self:?}");
        Some(std::str::from_utf8(value).expect("text"))
    }

    /// Names of all headers, sorted.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    pub(crate) fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }
}

/// An answer as a client sees it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    /// `None` if it broke off.
    pub(crate) body: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    /// The whole body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.body.as_deref().expect("a whole body")).into_owned()
    }
}
