//! The loop that each server runs. One process sends at a time, so that in ordinary operation nothing is
//! sent twice; nobody waits for it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::sleep;

use super::pause::pause;
use super::state::OutboxStates;
use super::{Message, SendError, Sender};
use crate::clock::Clock;
use crate::store::{MessageRow, Store, StoreError};
use crate::telemetry;

/// The turn that a process takes to send.
const TURN: &str = "outbox";
/// How often the database is asked what is to be sent.
const EVERY: Duration = Duration::from_secs(1);
/// How long to wait when another process sends, or the database does not answer.
const BUSY: Duration = Duration::from_secs(5);
/// How often is looked what can be skipped, where there is nobody to send to.
const OFF: Duration = Duration::from_secs(60);
/// Looks between two counts of what there is.
const COUNT_EVERY: u32 = 10;
/// Notices of one turn.
const BATCH: u64 = 32;
/// Notices that are on their way at the same time.
const AT_ONCE: usize = 4;
/// How long those on their way may take once the process is told to stop.
const LAST: Duration = Duration::from_secs(5);
/// Without a sender, what nobody has tried to send is skipped after this time: a sender that is set later
/// does not begin with old news, and one that is away for a restart misses nothing.
const UNTRIED: time::Duration = time::Duration::hours(1);
/// The same for what a sender that is gone by now has tried.
const TRIED: time::Duration = time::Duration::days(3);
/// For how long notices that were given up count as news.
const DEAD: time::Duration = time::Duration::days(7);

/// What one look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Nothing was to be done.
    Idle,
    /// There is nobody to send to.
    Off,
    /// Another process sends.
    Busy,
    /// So many attempts were made.
    Tried(usize),
}

/// What sends the notices of a database.
pub struct Outbox {
    store: Store,
    clock: Clock,
    sender: Option<Box<dyn Sender>>,
    states: OutboxStates,
    stopping: AtomicBool,
}

impl Outbox {
    /// Without a sender, notices are skipped in time.
    #[must_use]
    pub fn new(store: Store, clock: Clock, sender: Option<Box<dyn Sender>>) -> Self {
        let states = OutboxStates::new(sender.is_some());
        Self { store, clock, sender, states, stopping: AtomicBool::new(false) }
    }

    /// How it is doing.
    #[must_use]
    pub fn states(&self) -> OutboxStates {
        self.states.clone()
    }

    /// Sends until it is told to stop. What is on its way then gets a few seconds more; what did not arrive is
    /// sent by the next process.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let stopped = async {
            told(stop.clone()).await;
            self.stopping.store(true, Ordering::Relaxed);
            sleep(LAST).await;
        };
        let sending = async {
            let mut looks = 0;
            while !self.stopping.load(Ordering::Relaxed) {
                let pause = self.look(&mut looks).await;
                tokio::select! {
                    () = told(stop.clone()) => return,
                    () = sleep(pause) => {}
                }
            }
        };
        tokio::select! {
            () = sending => {}
            () = stopped => tracing::warn!("notices were on their way; they are sent again by the next process"),
        }
    }

    /// One look, and how long to wait for the next one.
    async fn look(&self, looks: &mut u32) -> Duration {
        let round = self.round().await;
        let count = *looks == 0 || matches!(round, Ok(Round::Tried(_) | Round::Off));
        *looks = looks.saturating_add(1) % COUNT_EVERY;
        let counted = if count { self.count().await } else { Ok(()) };
        match round.and_then(|round| counted.map(|()| round)) {
            Ok(Round::Idle) => EVERY,
            Ok(Round::Off) => OFF,
            Ok(Round::Busy) => BUSY,
            Ok(Round::Tried(_)) => Duration::ZERO,
            Err(error) => {
                unreadable(&error);
                BUSY
            }
        }
    }

    /// Sends what is to be sent by now, once.
    ///
    /// # Errors
    /// When the database does not answer. What was sent by then and could not be noted is sent again.
    pub async fn round(&self) -> Result<Round, StoreError> {
        let now = self.clock.now();
        let Some(sender) = self.sender.as_deref() else {
            return self.skip(now).await;
        };
        if self.store.outbox_due(now, 1).await?.is_empty() {
            return Ok(Round::Idle);
        }
        let Some(turn) = self.store.turn(TURN).await? else { return Ok(Round::Busy) };
        // Read again: another process may just have sent them.
        let due = self.store.outbox_due(now, BATCH).await?;
        let attempts: Vec<_> = due.iter().map(|row| self.attempt(sender, row).boxed()).collect();
        let results: Vec<_> = stream::iter(attempts).buffer_unordered(AT_ONCE).collect().await;
        turn.end().await;
        let tried = results.iter().filter(|result| matches!(result, Ok(true))).count();
        results.into_iter().find_map(Result::err).map_or(Ok(Round::Tried(tried)), Err)
    }

    async fn skip(&self, now: OffsetDateTime) -> Result<Round, StoreError> {
        let skipped = self.store.outbox_skip(now - UNTRIED, now - TRIED, now).await?;
        if skipped > 0 {
            tracing::debug!(skipped, "nobody is there to send notices to");
        }
        Ok(Round::Off)
    }

    /// Counts what there is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.states.counted(self.store.outbox_counts(now - DEAD).await?, now);
        Ok(())
    }

    /// Whether one was made, and noted.
    async fn attempt(&self, sender: &dyn Sender, row: &MessageRow) -> Result<bool, StoreError> {
        if self.stopping.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let outcome = sender.send(&Message::new(row, self.clock.now())).await;
        let now = self.clock.now();
        let result = match outcome {
            Ok(()) => {
                self.states.failed(None);
                self.store.outbox_sent(row, now).await?;
                "sent"
            }
            Err(error) => self.failed(sender, row, &error, now).await?,
        };
        metrics::counter!(telemetry::OUTBOX_ATTEMPTS, "result" => result).increment(1);
        Ok(true)
    }

    async fn failed(
        &self,
        sender: &dyn Sender,
        row: &MessageRow,
        error: &SendError,
        now: OffsetDateTime,
    ) -> Result<&'static str, StoreError> {
        self.states.failed(Some(error.why.clone()));
        let pause = if error.is_final { None } else { pause(row.attempts.saturating_add(1), error.retry_after) };
        let is_noted = self.store.outbox_failed(row, &error.why, pause.map(|pause| now + pause), now).await?;
        let (sender, id, kind) = (sender.name(), row.id.as_str(), row.kind.as_str());
        match pause {
            None if is_noted => given_up(sender, id, kind, error),
            Some(_) | None => tracing::debug!(sender, id, kind, %error, "a notice was not taken"),
        }
        Ok(if pause.is_some() { "failed" } else { "dead" })
    }
}

fn given_up(sender: &str, id: &str, kind: &str, error: &SendError) {
    tracing::error!(sender, id, kind, %error, "a notice is given up: somebody who should have been told was not");
}

/// A database that is away for a moment is nobody's task.
fn unreadable(error: &StoreError) {
    if error.is_unavailable() {
        tracing::debug!(%error, "the outbox cannot be read");
    } else {
        shout(error);
    }
}

fn shout(error: &StoreError) {
    tracing::error!(%error, "the outbox cannot be read");
}

async fn told(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("nobody is left to stop the outbox");
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("sender", &self.sender.as_deref().map(Sender::name)).finish_non_exhaustive()
    }
}
