//! What awc reads and writes: a connection that tells the truth about how it ended.
//!
//! Two traps of awc are closed here, below it and above TLS:
//!
//! - It takes the end of the stream for the end of a chunked body, so a truncated answer would pass
//!   as a complete one. Here the end of the stream is an error while answers are expected.
//! - It does not read while it writes, so a rack that refuses an upload early and closes would be
//!   seen as a broken connection. Here the refusal is kept, the rest of the upload is let go, and awc
//!   reads the refusal as the answer.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::{ActixStream, Ready};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What the end of the stream means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// An answer is cut off: answers end by their own length.
    IsAnError,
    /// A tunnel ends like this.
    IsAnEnd,
}

/// Most bytes of an answer that are kept while the request is still being written.
const EARLY_MAX: usize = 64 << 10;

/// Most bytes of a refused upload that are taken from the client and thrown away, so that it hears
/// the refusal; a longer one is cut off.
const LET_GO_MAX: usize = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing of this request was written yet.
    Fresh,
    /// The request is being written.
    Writing,
    /// The rack refused the request before all of it was written; so many bytes were let go.
    Refused(usize),
    /// The answer is being read. The next write begins a new request.
    Reading,
}

/// A connection to the rack. See the module.
pub(super) struct RackIo<T> {
    transport: T,
    end: End,
    phase: Phase,
    /// What the rack said while it was written to.
    early: BytesMut,
    /// Why nothing can be written any more, while the rack's last word is waited for.
    failed: Option<io::Error>,
    /// Set when a request was cut short: this connection must not carry another one.
    spoiled: Rc<Cell<bool>>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> RackIo<T> {
    pub(super) fn new(transport: T, end: End, spoiled: Rc<Cell<bool>>) -> Self {
        Self { transport, end, phase: Phase::Fresh, early: BytesMut::new(), failed: None, spoiled }
    }

    /// Reads what the rack has to say before it was asked. Ready if it will say no more for now, or if
    /// that is enough.
    fn listen(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut space = [0_u8; 2048];
        let heard = loop {
            let mut buf = ReadBuf::new(&mut space);
            match Pin::new(&mut self.transport).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => self.early.extend_from_slice(buf.filled()),
                // An end or an error comes back when the answer is read.
                Poll::Ready(Ok(()) | Err(_)) => break Poll::Ready(()),
                Poll::Pending => break Poll::Pending,
            }
            if self.early.len() >= EARLY_MAX {
                break Poll::Ready(());
            }
        };
        if is_refusal(&self.early) {
            self.phase = Phase::Refused(0);
            self.spoiled.set(true);
        }
        heard
    }

    /// The connection cannot be written to any more. If the rack said why, that arrives before its
    /// reset, but perhaps has not been noticed yet.
    fn last_word(&mut self, cx: &mut Context<'_>, error: io::Error, bytes: usize) -> Poll<io::Result<usize>> {
        let heard = self.listen(cx);
        match self.phase {
            Phase::Refused(already) => Poll::Ready(self.let_go(already, bytes)),
            Phase::Fresh | Phase::Writing | Phase::Reading if heard.is_ready() => Poll::Ready(Err(error)),
            Phase::Fresh | Phase::Writing | Phase::Reading => {
                self.failed = Some(error);
                Poll::Pending
            }
        }
    }

    fn let_go(&mut self, already: usize, bytes: usize) -> io::Result<usize> {
        let total = already.saturating_add(bytes);
        if total > LET_GO_MAX {
            return Err(io::Error::other("the rack refused the upload before its end"));
        }
        self.phase = Phase::Refused(total);
        Ok(bytes)
    }
}

/// Whether this is the beginning of an answer with a status of 400 or more. Anything else may still
/// want the rest of the request.
fn is_refusal(early: &[u8]) -> bool {
    early.starts_with(b"HTTP/1.") && matches!(early.get(8..10), Some(b" 4" | b" 5"))
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for RackIo<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.phase = Phase::Reading;
        if this.early.has_remaining() {
            let take = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early.split_to(take));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let has_space = buf.remaining() > 0;
        ready!(Pin::new(&mut this.transport).poll_read(cx, buf))?;
        if has_space && buf.filled().len() == before && this.end == End::IsAnError {
            let cut = io::Error::new(io::ErrorKind::UnexpectedEof, "the rack closed the connection");
            return Poll::Ready(Err(cut));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for RackIo<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(error) = this.failed.take() {
            return this.last_word(cx, error, buf.len());
        }
        match this.phase {
            // The head of a request: nothing can have been answered yet.
            Phase::Fresh | Phase::Reading => this.phase = Phase::Writing,
            Phase::Writing if this.end == End::IsAnError && this.early.len() < EARLY_MAX => {
                // Whatever it heard is in `phase`.
                let _more: Poll<()> = this.listen(cx);
            }
            Phase::Writing | Phase::Refused(_) => {}
        }
        if let Phase::Refused(already) = this.phase {
            return Poll::Ready(this.let_go(already, buf.len()));
        }
        match Pin::new(&mut this.transport).poll_write(cx, buf) {
            Poll::Ready(Err(error)) if this.end == End::IsAnError => this.last_word(cx, error, buf.len()),
            written @ (Poll::Ready(_) | Poll::Pending) => written,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.phase {
            Phase::Refused(_) => Poll::Ready(Ok(())),
            Phase::Fresh | Phase::Writing | Phase::Reading => Pin::new(&mut this.transport).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}

impl<T: ActixStream> ActixStream for RackIo<T> {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.transport.poll_read_ready(cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.transport.poll_write_ready(cx)
    }
}

impl<T> fmt::Debug for RackIo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RackIo").field("end", &self.end).field("phase", &self.phase).finish_non_exhaustive()
    }
}
