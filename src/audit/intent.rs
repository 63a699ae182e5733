//! An intent that waits for its outcome. Whoever holds it may act; letting go of it, in whatever
//! way, leaves an outcome.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::event::{Outcome, OutcomeResult};
use super::record::Draft;
use super::writer::{Receipt, Shared};

/// A durable intent. [`Intent::complete`] says how it ended; dropping it says `abandoned`.
#[must_use = "dropping an intent records that what it allowed was abandoned"]
pub struct Intent {
    receipt: Receipt,
    request_id: String,
    shared: Option<Arc<Shared>>,
}

impl Intent {
    pub(super) fn new(receipt: Receipt, request_id: String, shared: Arc<Shared>) -> Self {
        Self { receipt, request_id, shared: Some(shared) }
    }

    /// Its number in the chain.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.receipt.seq
    }

    /// The identity epoch when it became durable.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.receipt.epoch
    }

    /// The request that it belongs to.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Records how it ended. Never waits and never fails: the outcome is kept until it is durable.
    pub fn complete(mut self, outcome: Outcome) {
        self.post(&outcome);
    }

    fn post(&mut self, outcome: &Outcome) {
        if let Some(shared) = self.shared.take() {
            shared.post(self.receipt.seq, &self.request_id, outcome, None);
        }
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        self.post(&Outcome::of(OutcomeResult::Abandoned));
    }
}

impl fmt::Debug for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intent")
            .field("seq", &self.receipt.seq)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// An outcome on its way into the chain.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) intent: u64,
    pub(super) draft: Arc<Draft>,
    /// Told when it is durable.
    pub(super) done: Option<oneshot::Sender<()>>,
}

impl Shared {
    /// Queues an outcome. The queue has no limit of its own: its length is bounded by the intents
    /// that were let through, and no more are while it is long.
    pub(super) fn post(&self, intent: u64, request_id: &str, outcome: &Outcome, done: Option<oneshot::Sender<()>>) {
        let draft = Draft::outcome(outcome, (intent, request_id), self.clock.now(), &self.instance);
        self.backlog.fetch_add(1, Ordering::Relaxed);
        let ending = Ending { intent, draft: Arc::new(draft), done };
        if self.endings.send(ending).is_err() {
            // The next start finds the intent without an outcome and says so.
            tracing::error!(intent, "an outcome came after the audit log was closed");
        }
    }
}
