//! The task that owns the end of the chain in this process. It takes what waits, at once and up
//! to a limit, and makes it durable in one transaction: batches form by themselves under load,
//! and nobody is kept waiting for company.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::event::{Outcome, OutcomeResult};
use super::intent::{Ending, Intent};
use super::record::Draft;
use super::sink::Sink;
use super::writer::{Receipt, Shared, Unavailable};
use crate::proof::chain;
use crate::store::{AppendError, Appended, Head, Link, Liveness, Sealed};

/// A record that somebody waits for.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) draft: Arc<Draft>,
    pub(super) reply: Reply,
}

/// How to tell them.
#[derive(Debug)]
pub(super) enum Reply {
    Receipt(oneshot::Sender<Result<Receipt, Unavailable>>),
    /// With the id of the request.
    Intent(String, oneshot::Sender<Result<Intent, Unavailable>>),
}

/// What one transaction holds: first the outcomes, then the entries.
#[derive(Debug, Default)]
struct Batch {
    endings: Vec<Ending>,
    entries: Vec<Entry>,
}

/// A batch whose commit was sent and not answered.
#[derive(Debug)]
struct Doubt {
    end: Link,
    endings: Vec<Ending>,
    /// Intents of the batch, as steps back from its end, and their requests. Their callers were
    /// told that nothing happened.
    intents: Vec<(u64, String)>,
    records: u64,
}

/// First wait before outcomes are tried again, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long an outcome waits for company.
const LINGER: Duration = Duration::from_millis(5);

pub(super) struct Task {
    shared: Arc<Shared>,
    origin: String,
    limit: usize,
    inbox: mpsc::Receiver<Entry>,
    ended: mpsc::UnboundedReceiver<Ending>,
    /// Outcomes that wait, oldest first.
    waiting: VecDeque<Ending>,
    /// Intents of this process that are durable and have no durable outcome.
    open: BTreeSet<u64>,
    doubt: Option<Doubt>,
    sink: Option<Sink>,
    retry: Duration,
    /// Held to the end: nobody may take this process for dead while it still writes.
    alive: Option<Arc<Liveness>>,
}

impl Task {
    pub(super) fn new(
        shared: Arc<Shared>,
        origin: String,
        limit: usize,
        inbox: mpsc::Receiver<Entry>,
        ended: mpsc::UnboundedReceiver<Ending>,
        (sink, alive): (Option<Sink>, Option<Arc<Liveness>>),
    ) -> Self {
        let (waiting, open) = (VecDeque::new(), BTreeSet::new());
        Self { shared, origin, limit, inbox, ended, waiting, open, doubt: None, sink, retry: RETRY.0, alive }
    }

    /// Works until `stop`, then until everything is durable and every intent closed. `true` then.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> bool {
        while let Some(first) = self.next(&mut stop).await {
            let batch = self.gather(first);
            self.commit(batch).await;
            metrics::gauge!("audit_backlog").set(gauge(self.shared.backlog.load(Ordering::Relaxed)));
        }
        if let Some(sink) = self.sink.take()
            && tokio::task::spawn_blocking(move || sink.finish()).await.is_err()
        {
            tracing::warn!("the copy of the audit records ended early");
        }
        drop(self.alive);
        true
    }

    /// Waits for work. `Some(None)` is a reason to look again without a new entry; `None` is the end.
    async fn next(&mut self, stop: &mut watch::Receiver<bool>) -> Option<Option<Entry>> {
        let stopping = *stop.borrow() || stop.has_changed().is_err();
        if stopping {
            self.inbox.close();
        }
        let owed = !self.waiting.is_empty() || self.doubt.is_some();
        if stopping && !owed && self.open.is_empty() && self.inbox.is_empty() && self.ended.is_empty() {
            return None;
        }
        // After a failure, what waits is tried again after a pause or with the next new record.
        let pause = async { if owed { tokio::time::sleep(self.retry).await } else { std::future::pending().await } };
        tokio::select! {
            entry = self.inbox.recv(), if !self.inbox.is_closed() || !self.inbox.is_empty() => Some(entry),
            ending = self.ended.recv() => {
                self.waiting.extend(ending);
                Some(self.linger(stopping).await)
            }
            () = pause => Some(None),
            _ = stop.changed(), if !stopping => Some(None),
        }
    }

    /// Nobody waits for an outcome, so it waits a moment for a record that somebody does wait for:
    /// half the commits, and no intent is kept waiting by one that only held outcomes.
    async fn linger(&mut self, stopping: bool) -> Option<Entry> {
        if stopping || self.waiting.len() >= self.limit {
            return None;
        }
        tokio::time::timeout(LINGER, self.inbox.recv()).await.ok().flatten()
    }

    /// All that waits, up to the limit. Outcomes and entries share it, so that neither starves.
    fn gather(&mut self, first: Option<Entry>) -> Batch {
        while let Ok(ending) = self.ended.try_recv() {
            self.waiting.push_back(ending);
        }
        let mut entries: Vec<Entry> = first.into_iter().collect();
        let share = self.limit.saturating_sub(self.waiting.len()).max(self.limit / 2).max(1);
        while entries.len() < share
            && let Ok(entry) = self.inbox.try_recv()
        {
            entries.push(entry);
        }
        let rest = self.limit.saturating_sub(entries.len()).max(1);
        let endings = self.waiting.drain(..self.waiting.len().min(rest)).collect();
        Batch { endings, entries }
    }

    async fn commit(&mut self, batch: Batch) {
        if !self.settle().await {
            return self.fail(batch, None);
        }
        if batch.endings.is_empty() && batch.entries.is_empty() {
            return;
        }
        let started = self.shared.clock.now();
        let drafts = batch.drafts();
        let genesis = self.genesis();
        match self.shared.store.records_append(move |head| seal(head, &genesis, &drafts)).await {
            Ok(Appended { sealed, epoch }) => {
                let took = (self.shared.clock.now() - started).as_seconds_f64();
                metrics::histogram!("audit_append_seconds").record(took);
                self.succeed(batch, &sealed, epoch);
            }
            Err(AppendError { error, doubt }) => {
                let (records, unknown) = (batch.len(), doubt.is_some());
                tracing::error!(%error, records, unknown, "audit records were not stored");
                self.fail(batch, doubt);
            }
        }
    }

    /// The record that begins a chain, in case this batch is the first.
    fn genesis(&self) -> Draft {
        Draft::begin(&self.origin, self.shared.clock.now(), &self.shared.instance)
    }

    fn succeed(&mut self, batch: Batch, sealed: &[Sealed], epoch: u64) {
        self.shared.healthy.store(true, Ordering::Relaxed);
        self.retry = RETRY.0;
        metrics::counter!("audit_records_total").increment(u64::try_from(sealed.len()).unwrap_or_default());
        if let Some(sink) = &self.sink {
            sink.copy(lines(sealed.iter().map(|record| record.canon.as_slice())));
        }
        let last = sealed.last().map_or(0, |record| record.seq);
        self.close(batch.endings);
        let first = (last + 1).saturating_sub(u64::try_from(batch.entries.len()).unwrap_or_default());
        for (entry, seq) in batch.entries.into_iter().zip(first..) {
            self.answer(entry.reply, Receipt { seq, epoch });
        }
        self.advance(last);
    }

    fn answer(&mut self, reply: Reply, receipt: Receipt) {
        match reply {
            Reply::Receipt(reply) => tell(reply, Ok(receipt)),
            Reply::Intent(request_id, reply) => {
                self.open.insert(receipt.seq);
                tell(reply, Ok(Intent::new(receipt, request_id, Arc::clone(&self.shared))));
            }
        }
    }

    fn close(&mut self, endings: Vec<Ending>) {
        self.shared.backlog.fetch_sub(endings.len(), Ordering::Relaxed);
        for ending in endings {
            self.open.remove(&ending.intent);
            if let Some(done) = ending.done {
                tell(done, ());
            }
        }
    }

    fn advance(&self, last: u64) {
        self.shared.head.store(last, Ordering::Relaxed);
        self.shared.open_from.store(self.open.first().copied().unwrap_or(last + 1), Ordering::Relaxed);
    }

    /// Refuses what waited, and keeps the outcomes.
    fn fail(&mut self, batch: Batch, doubt: Option<Link>) {
        self.shared.healthy.store(false, Ordering::Relaxed);
        self.retry = (self.retry * 2).min(RETRY.1);
        let records = u64::try_from(batch.len()).unwrap_or_default();
        // Those behind waited through the same outage; each would wait through its own batch
        // again. Taken before anybody is told, so that whoever tries again is not among them.
        let behind: Vec<Entry> = std::iter::from_fn(|| self.inbox.try_recv().ok()).collect();
        let mut intents = Vec::new();
        for (entry, back) in batch.entries.into_iter().rev().zip(0..) {
            if let Some(request_id) = refuse(entry.reply) {
                intents.push((back, request_id));
            }
        }
        for entry in behind {
            refuse(entry.reply);
        }
        match doubt {
            Some(end) => self.doubt = Some(Doubt { end, endings: batch.endings, intents, records }),
            None => batch.endings.into_iter().rev().for_each(|ending| self.waiting.push_front(ending)),
        }
    }

    /// Finds out what became of a batch in doubt. `false` while that cannot be known.
    async fn settle(&mut self) -> bool {
        let Some(doubt) = self.doubt.take() else { return true };
        let stored = match self.shared.store.records_settle(doubt.end.clone()).await {
            Ok(stored) => stored,
            Err(error) => {
                tracing::warn!(%error, "it is not known yet whether the last audit records were stored");
                self.doubt = Some(doubt);
                return false;
            }
        };
        if !stored {
            doubt.endings.into_iter().rev().for_each(|ending| self.waiting.push_front(ending));
            return true;
        }
        let end = doubt.end.seq;
        self.close(doubt.endings);
        for (back, request_id) in doubt.intents {
            let seq = end - back;
            self.open.insert(seq);
            let mut outcome = Outcome::of(OutcomeResult::Abandoned);
            outcome.message = Some("nothing was done: the commit of the intent was not confirmed in time".to_owned());
            self.shared.post(seq, &request_id, &outcome, None);
        }
        self.advance(end);
        self.copy_again(end - doubt.records, doubt.records).await;
        true
    }

    async fn copy_again(&self, after: u64, records: u64) {
        let Some(sink) = &self.sink else { return };
        match self.shared.store.records_after(after, records).await {
            Ok(found) => sink.copy(lines(found.iter().map(|record| record.canon.as_slice()))),
            Err(error) => tracing::warn!(%error, "audit records could not be copied to the output"),
        }
    }
}

impl Batch {
    fn len(&self) -> usize {
        self.endings.len() + self.entries.len()
    }

    fn drafts(&self) -> Vec<Arc<Draft>> {
        let endings = self.endings.iter().map(|ending| Arc::clone(&ending.draft));
        endings.chain(self.entries.iter().map(|entry| Arc::clone(&entry.draft))).collect()
    }
}

/// Numbers and hashes drafts from `head` on.
fn seal(head: &Head, genesis: &Draft, drafts: &[Arc<Draft>]) -> Vec<Sealed> {
    let first = (head.seq == 0).then_some(genesis);
    let mut chain = head.chain;
    let mut seq = head.seq;
    let all = first.into_iter().chain(drafts.iter().map(Arc::as_ref));
    all.map(|draft| {
        seq += 1;
        let canon = draft.seal(seq);
        let leaf = chain::leaf(&canon);
        chain = chain::link(&chain, &leaf);
        Sealed { seq, canon, leaf, chain, keys: Arc::clone(&draft.keys), private: Arc::clone(&draft.private) }
    })
    .collect()
}

/// Tells whoever waits that nothing happened; gives back the request of an intent.
fn refuse(reply: Reply) -> Option<String> {
    match reply {
        Reply::Receipt(reply) => {
            tell(reply, Err(Unavailable));
            None
        }
        Reply::Intent(request_id, reply) => {
            tell(reply, Err(Unavailable));
            Some(request_id)
        }
    }
}

/// Answers somebody who may have gone. An intent that nobody takes is dropped here, and so closed.
fn tell<T>(reply: oneshot::Sender<T>, answer: T) {
    if reply.send(answer).is_err() {
        tracing::debug!("nobody waited for this record");
    }
}

fn lines<'a>(records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut lines = Vec::new();
    for record in records {
        lines.extend_from_slice(record);
        lines.push(b'\n');
    }
    lines
}

fn gauge(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
