//! The writer: what the rest of the gateway sees of the chain. One per process.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::batch::{Entry, Reply, Task};
use super::event::{Event, EventKind};
use super::intent::{Ending, Intent};
use super::record::Draft;
use super::recovery;
use super::sink::Sink;
use crate::clock::Clock;
use crate::proof::chain;
use crate::store::{Liveness, Store, StoreError};

/// How a writer works.
pub struct WriterOptions {
    /// The name of this run of the gateway; must never have been used before.
    pub instance: String,
    /// The name of the log, for the first process that ever writes to it. Later ones keep the
    /// name that the log has.
    pub origin: String,
    /// A copy of each record as a line of JSON, after it is durable. A copy that cannot be
    /// written in time is dropped and counted; the record stays.
    pub sink: Option<Box<dyn Write + Send>>,
    /// Most records in one transaction.
    pub batch: usize,
    /// Outcomes that may wait for the database before new intents are refused.
    pub backlog: usize,
    /// How long a process of a shared database must look dead before its intents are closed, and
    /// how often to look. Zero closes them at first sight.
    pub dead_after: Duration,
}

impl WriterOptions {
    /// The usual settings.
    #[must_use]
    pub fn new(instance: impl Into<String>, origin: impl Into<String>) -> Self {
        Self {
            instance: instance.into(),
            origin: origin.into(),
            sink: None,
            batch: 256,
            backlog: 10_000,
            dead_after: Duration::from_secs(15),
        }
    }
}

/// The audit log cannot be written now, so nothing may be done that it would have to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written, so nothing was done; try again shortly")]
pub struct Unavailable;

/// A durable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number in the chain.
    pub seq: u64,
    /// The identity epoch when it became durable.
    pub epoch: u64,
}

/// How the writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterStatus {
    /// Whether the last batch became durable.
    pub healthy: bool,
    /// The last record of this process.
    pub head: u64,
    /// Outcomes that are not durable yet.
    pub backlog: usize,
    /// Whether new intents are taken.
    pub accepting: bool,
}

/// Appends records. Cheap to clone; usable from any runtime.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
    inbox: mpsc::Sender<Entry>,
    stop: watch::Sender<bool>,
    task: Arc<tokio::sync::Mutex<Option<Running>>>,
}

struct Running {
    batches: JoinHandle<bool>,
    /// None for a guest.
    upkeep: Option<JoinHandle<()>>,
}

/// What the writer, its task and its intents share.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) instance: String,
    pub(super) endings: mpsc::UnboundedSender<Ending>,
    pub(super) backlog: AtomicUsize,
    pub(super) head: AtomicU64,
    /// No intent of this process before this number is open.
    pub(super) open_from: AtomicU64,
    pub(super) healthy: AtomicBool,
    max_backlog: usize,
}

impl Writer {
    /// Claims the log for this process and starts to write it. Intents that dead processes left
    /// open are closed in the background.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another process uses the SQLite file or the instance name is
    /// taken; [`StoreError::Corrupt`] when the schema is missing; [`StoreError::Unavailable`].
    pub async fn start(store: Store, clock: Clock, options: WriterOptions) -> Result<Self, StoreError> {
        let taken = || StoreError::Conflict("another process runs under this instance name".to_owned());
        let liveness = store.instance_claim(&options.instance).await?.ok_or_else(taken)?;
        store.head_init(&options.origin, chain::genesis(&options.origin)).await?;
        let (origin, head) = store.head().await?.ok_or(StoreError::NotFound)?;
        if origin != options.origin {
            tracing::warn!(%origin, configured = %options.origin, "the audit log keeps the name it was begun with");
        }
        store.instance_begin(&options.instance, clock.now(), head.seq + 1).await?;
        Ok(Self::run(store, clock, options, (origin, head.seq), Some(liveness)))
    }

    /// Writes beside the process that serves: for a command that appends a record or two and ends.
    /// It claims nothing and sweeps nothing, and takes no intents.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the schema is missing; [`StoreError::Unavailable`].
    pub async fn guest(store: Store, clock: Clock, options: WriterOptions) -> Result<Self, StoreError> {
        store.head_init(&options.origin, chain::genesis(&options.origin)).await?;
        let (origin, head) = store.head().await?.ok_or(StoreError::NotFound)?;
        let options = WriterOptions { backlog: 0, ..options };
        Ok(Self::run(store, clock, options, (origin, head.seq), None))
    }

    fn run(
        store: Store,
        clock: Clock,
        options: WriterOptions,
        (origin, head): (String, u64),
        liveness: Option<Liveness>,
    ) -> Self {
        let (endings, ended) = mpsc::unbounded_channel();
        let (inbox, incoming) = mpsc::channel(options.batch.max(1) * 8);
        let (stop, stopped) = watch::channel(false);
        let runtime = store.runtime().clone();
        let shared = Arc::new(Shared {
            store,
            clock,
            instance: options.instance,
            endings,
            backlog: AtomicUsize::new(0),
            head: AtomicU64::new(head),
            open_from: AtomicU64::new(head + 1),
            healthy: AtomicBool::new(true),
            max_backlog: options.backlog,
        });
        let sink = options.sink.map(Sink::start);
        let liveness = liveness.map(Arc::new);
        let held = (sink, liveness.clone());
        let task = Task::new(Arc::clone(&shared), origin, options.batch, incoming, ended, held);
        let batches = runtime.spawn(task.run(stopped.clone()));
        let upkeep = liveness.map(|liveness| {
            runtime.spawn(recovery::upkeep(Arc::clone(&shared), liveness, options.dead_after, stopped))
        });
        let task = Arc::new(tokio::sync::Mutex::new(Some(Running { batches, upkeep })));
        Self { shared, inbox, stop, task }
    }

    /// Appends a record and waits until it is durable. An event of kind `intent` is closed as
    /// abandoned at once: only [`Writer::intent`] gives something to complete.
    ///
    /// # Errors
    /// [`Unavailable`] when it is not, or when nobody can tell.
    pub async fn append(&self, event: Event) -> Result<Receipt, Unavailable> {
        if event.kind == EventKind::Intent {
            return self.intent(event).await.map(|held| Receipt { seq: held.seq(), epoch: held.epoch() });
        }
        let (reply, answer) = oneshot::channel();
        self.send(&event, Reply::Receipt(reply)).await?;
        answer.await.unwrap_or(Err(Unavailable))
    }

    /// Appends an intent and waits until it is durable. When the caller goes away meanwhile, the
    /// intent is closed as abandoned.
    ///
    /// # Errors
    /// [`Unavailable`] when it is not durable, when nobody can tell, or when too many outcomes
    /// wait for the database.
    pub async fn intent(&self, mut event: Event) -> Result<Intent, Unavailable> {
        if !self.shared.is_accepting() {
            return Err(Unavailable);
        }
        event.kind = EventKind::Intent;
        let (reply, answer) = oneshot::channel();
        self.send(&event, Reply::Intent(event.request_id.clone(), reply)).await?;
        answer.await.unwrap_or(Err(Unavailable))
    }

    async fn send(&self, event: &Event, reply: Reply) -> Result<(), Unavailable> {
        let draft = Draft::event(event, self.shared.clock.now(), &self.shared.instance).map_err(|error| {
            tracing::error!(%error, "an audit record was not made");
            Unavailable
        })?;
        let entry = Entry { draft: Arc::new(draft), reply };
        self.inbox.send(entry).await.map_err(|_| Unavailable)
    }

    /// How the writer is, for health and metrics. It knows what its last batch showed; an idle
    /// writer learns of an outage only from the next record.
    #[must_use]
    pub fn status(&self) -> WriterStatus {
        WriterStatus {
            healthy: self.shared.healthy.load(Ordering::Relaxed),
            head: self.shared.head.load(Ordering::Relaxed),
            backlog: self.shared.backlog.load(Ordering::Relaxed),
            accepting: self.shared.is_accepting(),
        }
    }

    /// Refuses new records and waits, at most `limit`, until all that came before is durable and
    /// every intent is closed. `false` if something remains; the next start will say so in the log.
    pub async fn shutdown(&self, limit: Duration) -> bool {
        self.stop.send_replace(true);
        let Some(running) = self.task.lock().await.take() else { return true };
        let shared = Arc::clone(&self.shared);
        let upkeep = running.upkeep.as_ref().map(JoinHandle::abort_handle);
        let aborts: Vec<_> = upkeep.into_iter().chain([running.batches.abort_handle()]).collect();
        let ending = async move {
            let clean = running.batches.await.unwrap_or(false);
            let Some(upkeep) = running.upkeep else { return clean };
            if upkeep.await.is_err() || !clean {
                return false;
            }
            shared.store.instance_end(&shared.instance, shared.clock.now()).await.is_ok()
        };
        // On the store's runtime: the caller's may have no timer.
        let task = self.shared.store.runtime().spawn(async move { tokio::time::timeout(limit, ending).await });
        let clean = matches!(task.await, Ok(Ok(true)));
        if !clean {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
            tracing::warn!("the audit log was closed with intents still open");
        }
        clean
    }
}

impl Shared {
    fn is_accepting(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) < self.max_backlog
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl fmt::Debug for WriterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriterOptions").field("instance", &self.instance).finish_non_exhaustive()
    }
}
