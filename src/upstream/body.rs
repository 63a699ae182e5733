//! Bodies on their way through: one chunk in memory, never changed, always counted.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::error::PayloadError;
use actix_web::body::{BodySize, MessageBody};
use actix_web::web::Payload;
use awc::ClientResponse;
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant, Sleep, sleep_until};

use super::tally::{Sent, Tally};
use crate::audit::OutcomeResult;

/// The client's body on its way to the rack. awc sends it on in pieces of at least 8 KiB.
pub(super) struct Upload {
    payload: Payload,
    size: BodySize,
    left: Option<u64>,
    sent: Rc<Sent>,
}

impl Upload {
    /// With `length` it is sent as it came, with `Content-Length`; without, chunked.
    pub(super) fn new(payload: Payload, length: Option<u64>, sent: &Rc<Sent>) -> Self {
        if length == Some(0) {
            sent.whole();
        }
        let size = length.map_or(BodySize::Stream, BodySize::Sized);
        Self { payload, size, left: length, sent: Rc::clone(sent) }
    }

    fn ended(&self) -> Poll<Option<Result<Bytes, actix_web::Error>>> {
        if self.left.is_some_and(|left| left > 0) {
            return Poll::Ready(Some(Err(PayloadError::Incomplete(None).into())));
        }
        self.sent.whole();
        Poll::Ready(None)
    }
}

impl MessageBody for Upload {
    type Error = actix_web::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        match next_chunk(&mut this.payload, cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                this.sent.more(chunk.len());
                this.sent.streamed(&chunk);
                let taken = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                this.left = this.left.map(|left| left.saturating_sub(taken));
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(None) => this.ended(),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Pending => {
                this.sent.waits_for_client();
                Poll::Pending
            }
        }
    }
}

/// The next chunk that is not empty: an empty one would be written as the end of a chunked body.
/// HTTP/2 clients may send such.
fn next_chunk<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
) -> Poll<Option<S::Item>> {
    loop {
        match ready!(Pin::new(&mut *stream).poll_next(cx)) {
            Some(Ok(chunk)) if chunk.is_empty() => {}
            chunk => return Poll::Ready(chunk),
        }
    }
}

/// The rack's answer on its way to the client. Owns the outcome: it is told when the body ends, when
/// it breaks, or when the client goes away and this is dropped.
pub(super) struct Download {
    answer: Option<ClientResponse>,
    size: BodySize,
    tally: Option<Tally>,
    silence: Silence,
    _place: OwnedSemaphorePermit,
}

impl Download {
    /// An answer with a body.
    pub(super) fn new(
        answer: ClientResponse,
        size: BodySize,
        tally: Tally,
        idle: Duration,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let silence = Silence { limit: idle, timer: None, waits: false };
        Self { answer: Some(answer), size, tally: Some(tally), silence, _place: place }
    }

    /// An answer without a body, which may still say how long it would be.
    pub(super) fn bodiless(size: BodySize, tally: Tally, place: OwnedSemaphorePermit) -> Self {
        let silence = Silence { limit: Duration::MAX, timer: None, waits: false };
        Self { answer: None, size, tally: Some(tally), silence, _place: place }
    }

    fn end(&mut self, result: OutcomeResult, message: Option<String>) {
        self.answer = None;
        if let Some(tally) = self.tally.take() {
            tally.end(result, message);
        }
    }

    fn broken(&mut self, error: PayloadError) -> Poll<Option<Result<Bytes, PayloadError>>> {
        self.end(OutcomeResult::UpstreamError, Some(format!("the answer broke off: {error}")));
        Poll::Ready(Some(Err(error)))
    }

    fn is_delivered(&self) -> bool {
        match (self.answer.is_some(), self.size, &self.tally) {
            (true, BodySize::Sized(size), Some(tally)) => tally.bytes_out() >= size,
            (is_under_way, _, _) => !is_under_way,
        }
    }
}

impl MessageBody for Download {
    type Error = PayloadError;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        let Some(answer) = this.answer.as_mut() else { return Poll::Ready(None) };
        match next_chunk(answer, cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                this.silence.broken();
                if let Some(tally) = &this.tally {
                    tally.received(chunk.len());
                }
                Poll::Ready(Some(Ok(chunk)))
            }
            Poll::Ready(Some(Err(error))) => this.broken(error),
            Poll::Ready(None) => {
                this.end(OutcomeResult::Completed, None);
                Poll::Ready(None)
            }
            Poll::Pending if this.silence.poll(cx).is_ready() => {
                let limit = std::io::Error::new(std::io::ErrorKind::TimedOut, "the rack fell silent");
                this.broken(PayloadError::Io(limit))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let result = if self.is_delivered() { OutcomeResult::Completed } else { OutcomeResult::ClientGone };
        self.end(result, None);
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("size", &self.size).finish_non_exhaustive()
    }
}

/// The time since the last chunk, counted only while one is waited for.
struct Silence {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waits: bool,
}

impl Silence {
    fn broken(&mut self) {
        self.waits = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = Instant::now().checked_add(self.limit) else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if !self.waits {
            self.waits = true;
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(cx)
    }
}
