//! A stream that notes every request head as it came, before any parser has touched it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::received::Entry;
use super::state::RackState;

/// Requests of one connection that were seen and not yet taken up by a handler, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrivals(Rc<RefCell<VecDeque<Arc<Entry>>>>);

impl Arrivals {
    /// The oldest one.
    pub(super) fn take(&self) -> Option<Arc<Entry>> {
        self.0.borrow_mut().pop_front()
    }
}

/// Where the reader is in the stream of requests.
#[derive(Debug)]
enum Place {
    /// In a request line or header.
    Head(Vec<u8>),
    /// In a body of known length.
    Sized(u64),
    /// In the size line of a chunk.
    ChunkSize(Vec<u8>),
    /// In a chunk, its line end included.
    Chunk(u64),
    /// In the trailer of a chunked body.
    Trailer(Vec<u8>),
    /// After an upgrade, or after something that is not HTTP.
    Raw,
}

/// The stream.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    state: RackState,
    arrivals: Arrivals,
    place: Place,
}

/// More than this without an end is not a request head.
const HEAD_MAX: usize = 1 << 20;

impl Wire {
    pub(super) fn new(stream: TcpStream, state: RackState) -> Self {
        Self { stream, state, arrivals: Arrivals::default(), place: Place::Head(Vec::new()) }
    }

    pub(super) fn arrivals(&self) -> Arrivals {
        self.arrivals.clone()
    }

    fn note(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.step(bytes);
        }
    }

    /// Reads some of `bytes` and gives back the rest.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (next, rest) = match std::mem::replace(&mut self.place, Place::Raw) {
            Place::Head(mut head) => match line(&mut head, bytes) {
                Some(rest) if head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n") => (self.arrived(&head), rest),
                // Empty lines before a request line are skipped (RFC 9112 2.2).
                Some(rest) if head == b"\r\n" || head == b"\n" => (Place::Head(Vec::new()), rest),
                Some(rest) if head.len() <= HEAD_MAX => (Place::Head(head), rest),
                Some(_) => (Place::Raw, &[] as &[u8]),
                None => (Place::Head(head), &[] as &[u8]),
            },
            Place::Sized(left) => {
                let (left, rest) = skip(left, bytes);
                (if left == 0 { Place::Head(Vec::new()) } else { Place::Sized(left) }, rest)
            }
            Place::ChunkSize(mut size) => match line(&mut size, bytes) {
                Some(rest) => (chunk(&size), rest),
                None => (Place::ChunkSize(size), &[] as &[u8]),
            },
            Place::Chunk(left) => {
                let (left, rest) = skip(left, bytes);
                (if left == 0 { Place::ChunkSize(Vec::new()) } else { Place::Chunk(left) }, rest)
            }
            Place::Trailer(mut last) => match line(&mut last, bytes) {
                Some(rest) if last == b"\r\n" || last == b"\n" => (Place::Head(Vec::new()), rest),
                Some(rest) => (Place::Trailer(Vec::new()), rest),
                None => (Place::Trailer(last), &[] as &[u8]),
            },
            Place::Raw => (Place::Raw, &[] as &[u8]),
        };
        self.place = next;
        rest
    }

    fn arrived(&mut self, head: &[u8]) -> Place {
        let entry = self.state.inbox().arrive(head);
        let next = after(&entry);
        self.arrivals.0.borrow_mut().push_back(entry);
        next
    }
}

/// Appends up to and with the next line end; the rest if there was one.
fn line<'a>(to: &mut Vec<u8>, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let end = bytes.iter().position(|&b| b == b'\n').map(|at| at + 1);
    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    to.extend_from_slice(line);
    end.map(|_| rest)
}

fn skip(left: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let take = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    let rest = bytes.split_at(take).1;
    (left.saturating_sub(u64::try_from(take).unwrap_or(u64::MAX)), rest)
}

fn chunk(size: &[u8]) -> Place {
    let text = String::from_utf8_lossy(size);
    let digits = text.split(';').next().unwrap_or_default().trim();
    match u64::from_str_radix(digits, 16) {
        Ok(0) => Place::Trailer(Vec::new()),
        Ok(size) => Place::Chunk(size.saturating_add(2)),
        Err(_) => Place::Raw,
    }
}

/// What follows a head, by the framing that the head declares.
fn after(entry: &Entry) -> Place {
    if entry.header("upgrade").is_some_and(|v| v.eq_ignore_ascii_case(b"websocket")) {
        return Place::Raw;
    }
    if entry.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().ends_with(b"chunked")) {
        return Place::ChunkSize(Vec::new());
    }
    let length = entry.header("content-length").and_then(|v| String::from_utf8_lossy(&v).trim().parse().ok());
    match length {
        None | Some(0) => Place::Head(Vec::new()),
        Some(length) => Place::Sized(length),
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = polled
            && let Some(new) = buf.filled().get(before..)
        {
            self.note(new);
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
