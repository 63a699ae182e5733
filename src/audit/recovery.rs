//! Closes the intents of processes that died, and keeps this one known to be alive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::event::{Outcome, OutcomeResult};
use super::writer::Shared;
use crate::store::{Instance, Liveness, StoreError};

/// How often to make sure that the others see this process alive.
const RENEW: Duration = Duration::from_secs(2);
/// Rows per read.
const PAGE: u64 = 2_000;

/// Works until `stop`.
pub(super) async fn upkeep(
    shared: Arc<Shared>,
    liveness: Arc<Liveness>,
    dead_after: Duration,
    stop: watch::Receiver<bool>,
) {
    let sweeping = sweep_on(Arc::clone(&shared), dead_after);
    let staying = stay_on(shared, liveness);
    tokio::select! {
        () = sweeping => {}
        () = staying => {}
        () = stopped(stop) => {}
    }
}

/// Waits until the writer is told to stop, or nobody is left to tell it.
async fn stopped(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("the writer was dropped without being shut down");
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn stay_on(shared: Arc<Shared>, liveness: Arc<Liveness>) {
    let mut ticks = every(RENEW);
    let mut noted = 0;
    loop {
        ticks.tick().await;
        match stay(&shared, &liveness, noted).await {
            Ok(open_from) => noted = open_from,
            Err(error) => tracing::debug!(%error, "the sign of life was not renewed"),
        }
    }
}

/// Renews the claim and notes how far back this process's open intents reach.
async fn stay(shared: &Shared, liveness: &Liveness, noted: u64) -> Result<u64, StoreError> {
    if !liveness.renew().await? {
        return Err(StoreError::Conflict("another process took this one for dead".to_owned()));
    }
    let open_from = shared.open_from.load(Ordering::Relaxed);
    if open_from != noted {
        shared.store.instance_progress(&shared.instance, open_from).await?;
    }
    Ok(open_from)
}

async fn sweep_on(shared: Arc<Shared>, dead_after: Duration) {
    let mut ticks = every(dead_after.max(RENEW));
    let mut sweeper = Sweeper { shared, suspects: BTreeSet::new(), at_once: dead_after.is_zero() };
    loop {
        ticks.tick().await;
        if let Err(error) = sweeper.sweep().await {
            tracing::warn!(%error, "intents of ended processes could not be closed yet");
        }
    }
}

struct Sweeper {
    shared: Arc<Shared>,
    /// Looked dead last time. A restart of the database frees the claims of the living for a
    /// moment, so one look is not enough where several processes share it.
    suspects: BTreeSet<String>,
    at_once: bool,
}

impl Sweeper {
    async fn sweep(&mut self) -> Result<(), StoreError> {
        let suspects = std::mem::take(&mut self.suspects);
        for instance in self.shared.store.instance_list_open().await? {
            if instance.id == self.shared.instance {
                continue;
            }
            let Some(claim) = self.shared.store.instance_claim(&instance.id).await? else { continue };
            if self.at_once || self.shared.store.is_exclusive() || suspects.contains(&instance.id) {
                bury(&self.shared, &instance.id).await?;
            } else {
                self.suspects.insert(instance.id);
            }
            drop(claim);
        }
        Ok(())
    }
}

/// Gives every open intent of a dead process an outcome. The caller holds its claim.
async fn bury(shared: &Shared, id: &str) -> Result<(), StoreError> {
    // Again, now that nobody else can be at it.
    let open = shared.store.instance_list_open().await?;
    let Some(instance) = open.into_iter().find(|instance| instance.id == id) else { return Ok(()) };
    let interrupted = open_intents(shared, &instance).await?;
    let count = interrupted.len();
    let mut waits = Vec::with_capacity(count);
    for (seq, request_id) in interrupted {
        let (done, wait) = oneshot::channel();
        let mut outcome = Outcome::of(OutcomeResult::Unknown);
        outcome.message = Some("interrupted: the gateway ended before the outcome was known".to_owned());
        shared.post(seq, request_id.as_deref().unwrap_or_default(), &outcome, Some(done));
        waits.push(wait);
    }
    for wait in waits {
        wait.await.map_err(|_| StoreError::unavailable("the gateway is shutting down"))?;
    }
    if count > 0 {
        tracing::warn!(instance = id, count, "a process ended with intents open; their outcome is recorded as unknown");
    }
    shared.store.instance_end(id, shared.clock.now()).await
}

async fn open_intents(shared: &Shared, instance: &Instance) -> Result<BTreeMap<u64, Option<String>>, StoreError> {
    let mut open = BTreeMap::new();
    let mut after = instance.open_seq.saturating_sub(1);
    loop {
        let page = shared.store.records_halves(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(open) };
        after = last.seq;
        for half in page {
            match half.outcome_of {
                Some(intent) => {
                    open.remove(&intent);
                }
                None if half.instance == instance.id => {
                    open.insert(half.seq, half.request_id);
                }
                None => {}
            }
        }
    }
}
