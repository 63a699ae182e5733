//! What became of a request: counted while it runs, told once when it ends.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::{Duration, Instant, sleep_until};

use super::trouble::Silent;
use crate::audit::{Outcome, OutcomeResult};

/// Takes the outcome. In production it completes the intent; dropped unused, the intent itself
/// reports that it was abandoned.
type Completion = Box<dyn FnOnce(Outcome)>;

/// Longest message in an outcome, in bytes of UTF-8.
const MESSAGE_MAX: usize = 300;

/// The outcome in the making. Dropped before [`Tally::end`], it says what `if_dropped` says.
pub(super) struct Tally {
    completion: Option<Completion>,
    started: Instant,
    status: Option<u16>,
    sent: Rc<Sent>,
    received: Cell<u64>,
    if_dropped: OutcomeResult,
}

impl Tally {
    pub(super) fn new(completion: impl FnOnce(Outcome) + 'static) -> Self {
        Self {
            completion: Some(Box::new(completion)),
            started: Instant::now(),
            status: None,
            sent: Rc::default(),
            received: Cell::new(0),
            if_dropped: OutcomeResult::ClientGone,
        }
    }

    /// The status that the client is told.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// What a drop means from now on.
    pub(super) fn if_dropped(&mut self, result: OutcomeResult) {
        self.if_dropped = result;
    }

    /// What goes to the rack.
    pub(super) fn sent(&self) -> &Rc<Sent> {
        &self.sent
    }

    /// So many more bytes went to the client.
    pub(super) fn received(&self, bytes: usize) {
        self.received.set(add(self.received.get(), bytes));
    }

    /// Bytes that went to the client so far.
    pub(super) fn bytes_out(&self) -> u64 {
        self.received.get()
    }

    pub(super) fn end(mut self, result: OutcomeResult, message: Option<String>) {
        self.complete(result, message);
    }

    fn complete(&mut self, result: OutcomeResult, message: Option<String>) {
        let Some(completion) = self.completion.take() else { return };
        let message = message.map(|mut text| {
            text.truncate(text.floor_char_boundary(MESSAGE_MAX));
            text
        });
        completion(Outcome {
            result,
            status: self.status,
            bytes_in: self.sent.bytes.get(),
            bytes_out: self.received.get(),
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            message,
        });
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.complete(self.if_dropped, None);
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("status", &self.status).finish_non_exhaustive()
    }
}

/// How far a request has been sent.
#[derive(Debug)]
pub(super) struct Sent {
    bytes: Cell<u64>,
    moved: Cell<Instant>,
    is_whole: Cell<bool>,
    waits_for_client: Cell<bool>,
    whole: Notify,
    digest: RefCell<Option<Sha256>>,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            bytes: Cell::default(),
            moved: Cell::new(Instant::now()),
            is_whole: Cell::default(),
            waits_for_client: Cell::default(),
            whole: Notify::new(),
            digest: RefCell::default(),
        }
    }
}

impl Sent {
    /// From here on, what is streamed is digested.
    pub(super) fn digest(&self) {
        *self.digest.borrow_mut() = Some(Sha256::new());
    }

    /// These bytes were streamed.
    pub(super) fn streamed(&self, bytes: &[u8]) {
        if let Some(digest) = self.digest.borrow_mut().as_mut() {
            digest.update(bytes);
        }
    }

    /// SHA-256 of what was streamed, if all of it was sent and it was digested.
    pub(super) fn digested(&self) -> Option<[u8; 32]> {
        let digest = self.digest.borrow_mut().take().filter(|_| self.is_whole.get());
        digest.map(|digest| digest.finalize().into())
    }

    /// Bytes that were sent so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// So many more bytes were sent.
    pub(super) fn more(&self, bytes: usize) {
        self.bytes.set(add(self.bytes.get(), bytes));
        self.moved.set(Instant::now());
        self.waits_for_client.set(false);
    }

    /// The client has no more for now.
    pub(super) fn waits_for_client(&self) {
        self.waits_for_client.set(true);
    }

    /// The request was sent to its end.
    pub(super) fn whole(&self) {
        self.moved.set(Instant::now());
        self.is_whole.set(true);
        self.whole.notify_one();
    }

    /// Waits until nothing was sent for `idle`, or nothing came back for `head` after the end.
    pub(super) async fn silence(&self, idle: Duration, head: Duration) -> Silent {
        self.until_silent(idle, head).await;
        match (self.is_whole.get(), self.waits_for_client.get()) {
            (true, _) => Silent::Answer,
            (false, true) => Silent::Client,
            (false, false) => Silent::Upload,
        }
    }

    async fn until_silent(&self, idle: Duration, head: Duration) {
        loop {
            let limit = if self.is_whole.get() { head } else { idle };
            let Some(deadline) = self.moved.get().checked_add(limit) else { return };
            if deadline <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(deadline) => {}
                () = self.whole.notified() => {}
            }
        }
    }
}

fn add(sum: u64, bytes: usize) -> u64 {
    sum.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
}
