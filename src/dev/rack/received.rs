//! What the rack received, for tests to look at.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

/// Bytes of a body that are kept.
const FIRST: usize = 4096;
/// Bytes of the frames of a socket that are kept, and their number.
const FRAME_BYTES: usize = 1 << 20;
const FRAMES: usize = 4096;

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Counts from 1 since the rack started; [`super::RackState::clear`] does not reset it.
    pub number: u64,
    /// Method.
    pub method: String,
    /// Request target, undecoded.
    pub target: Vec<u8>,
    /// Protocol, `HTTP/1.1`.
    pub version: String,
    /// Header lines in their order, names in their case, values undecoded.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body as far as the rack read it, without chunk framing.
    pub body: Body,
    /// Frames that the client sent on a socket, unmasked: the first 4096, or the first MiB.
    pub frames: Vec<Frame>,
    /// How many frames it sent.
    pub frame_count: u64,
    /// Status that the rack answered, once it did; none for what the parser refused.
    pub status: Option<u16>,
    /// Whether the connection of a socket has ended.
    pub gone: bool,
}

impl Received {
    /// The target, lossily.
    #[must_use]
    pub fn target(&self) -> String {
        String::from_utf8_lossy(&self.target).into_owned()
    }

    /// Values of a header in their order, whatever the case of its name.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_slice())
    }
}

/// A body, measured while it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// Bytes read.
    pub length: u64,
    /// Their SHA-256, lower-case hex.
    pub sha256: String,
    /// The first 4 KiB.
    pub first: Vec<u8>,
    /// Whether the body came to its proper end.
    pub ended: bool,
}

/// One websocket frame from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whether it is the last of its message.
    pub fin: bool,
    /// 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong.
    pub opcode: u8,
    /// The payload, unmasked.
    pub payload: Bytes,
}

#[derive(Debug)]
struct Noted {
    received: Received,
    digest: Sha256,
    frame_bytes: usize,
}

/// A request that is still being written down.
#[derive(Debug)]
pub(super) struct Entry {
    noted: Mutex<Noted>,
    pulse: watch::Sender<u64>,
}

impl Entry {
    /// The last value of a header.
    pub(super) fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().received.header(name).last().map(<[u8]>::to_vec)
    }

    pub(super) fn target(&self) -> Vec<u8> {
        self.lock().received.target.clone()
    }

    pub(super) fn read(&self, bytes: &[u8]) {
        let mut noted = self.lock();
        noted.digest.update(bytes);
        let body = &mut noted.received.body;
        body.length = body.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let room = FIRST.saturating_sub(body.first.len());
        body.first.extend(bytes.iter().take(room));
    }

    pub(super) fn body_ended(&self) {
        self.lock().received.body.ended = true;
        self.changed();
    }

    pub(super) fn frame(&self, fin: bool, opcode: u8, payload: Bytes) {
        let mut noted = self.lock();
        noted.received.frame_count += 1;
        noted.frame_bytes = noted.frame_bytes.saturating_add(payload.len());
        if noted.frame_bytes <= FRAME_BYTES && noted.received.frames.len() < FRAMES {
            noted.received.frames.push(Frame { fin, opcode, payload });
        }
        drop(noted);
        self.changed();
    }

    pub(super) fn answered(&self, status: u16) {
        self.lock().received.status = Some(status);
        self.changed();
    }

    pub(super) fn gone(&self) {
        self.lock().received.gone = true;
        self.changed();
    }

    fn snapshot(&self) -> Received {
        let noted = self.lock();
        let mut received = noted.received.clone();
        received.body.sha256 = hex::encode(noted.digest.clone().finalize());
        received
    }

    fn changed(&self) {
        self.pulse.send_modify(|n| *n = n.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All requests that are kept.
#[derive(Debug)]
pub(super) struct Inbox {
    kept: Mutex<Kept>,
    keep: usize,
    pulse: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kept {
    count: u64,
    entries: VecDeque<Arc<Entry>>,
}

impl Inbox {
    pub(super) fn new(keep: usize) -> Self {
        Self { kept: Mutex::default(), keep: keep.max(1), pulse: watch::Sender::new(0) }
    }

    /// Writes down a request head.
    pub(super) fn arrive(&self, head: &[u8]) -> Arc<Entry> {
        let mut kept = self.lock();
        kept.count += 1;
        let received = parse(kept.count, head);
        let noted = Mutex::new(Noted { received, digest: Sha256::new(), frame_bytes: 0 });
        let entry = Arc::new(Entry { noted, pulse: self.pulse.clone() });
        kept.entries.push_back(Arc::clone(&entry));
        while kept.entries.len() > self.keep {
            kept.entries.pop_front();
        }
        drop(kept);
        entry.changed();
        entry
    }

    pub(super) fn all(&self) -> Vec<Received> {
        self.lock().entries.iter().map(|entry| entry.snapshot()).collect()
    }

    pub(super) fn clear(&self) {
        self.lock().entries.clear();
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parse(number: u64, head: &[u8]) -> Received {
    let mut lines = head.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut words = lines.next().unwrap_or_default().splitn(3, |&b| b == b' ');
    let mut word = || words.next().unwrap_or_default();
    let method = String::from_utf8_lossy(word()).into_owned();
    let target = word().to_vec();
    let version = String::from_utf8_lossy(word()).into_owned();
    let headers = lines.filter(|line| !line.is_empty()).map(header_line).collect();
    Received {
        number,
        method,
        target,
        version,
        headers,
        body: Body::default(),
        frames: Vec::new(),
        frame_count: 0,
        status: None,
        gone: false,
    }
}

fn header_line(line: &[u8]) -> (String, Vec<u8>) {
    let mut parts = line.splitn(2, |&b| b == b':');
    let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    (name, parts.next().unwrap_or_default().trim_ascii().to_vec())
}
