//! When anchors are made: at the start, when it is time, when there are enough records, at the end.

use std::future::Future;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use super::AnchorError;
use super::make::Anchorer;
use crate::proof::anchor::AnchorReason;
use crate::store::StoreError;

/// How often it is looked whether an anchor is due.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait after the first failure; twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(60);
/// How long the last anchor may take.
const LAST: Duration = Duration::from_secs(20);

impl Anchorer {
    /// Why an anchor is due now, going by the last one of any process; none when it is not.
    pub(super) async fn due(&self) -> Result<Option<AnchorReason>, StoreError> {
        let store = self.store();
        let settings = &self.inner.parts.settings;
        let Some((_, head)) = store.head().await? else { return Ok(None) };
        let Some(last) = store.anchor_last().await? else { return Ok(Some(AnchorReason::Start)) };
        let epoch = store.epochs().await?.last().map_or(1, |epoch| epoch.number);
        if last.epoch < epoch {
            return Ok(Some(AnchorReason::Start));
        }
        // A time that cannot be read, or lies ahead, is looked at by making an anchor.
        let made_at = OffsetDateTime::parse(&last.made_at, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let age = Duration::try_from(self.now() - made_at).unwrap_or(Duration::MAX);
        if age >= settings.interval {
            return Ok(Some(AnchorReason::Interval));
        }
        Ok((head.seq.saturating_sub(last.size) >= settings.records).then_some(AnchorReason::Count))
    }

    /// Makes anchors until `stop`, or until nobody is left to tell; then a last one, if that does not
    /// take long. What is broken off on the way, the next anchor completes.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let stopped = async {
            if stop.wait_for(|stop| *stop).await.is_err() {
                tracing::debug!("nobody is left to stop the anchorer");
            }
        };
        tokio::select! {
            () = self.keep_on() => {}
            () = stopped => {}
        }
        if let Some(problem) = within(LAST, self.anchor(AnchorReason::Stop)).await {
            tracing::warn!(problem, "no last anchor was made");
        }
    }

    async fn keep_on(&self) {
        let mut begin = true;
        let mut pause = PAUSE;
        loop {
            let made = self.look(begin).await;
            let wait = match made {
                Ok(()) => {
                    (begin, pause) = (false, PAUSE);
                    LOOK
                }
                Err(AnchorError::Busy | AnchorError::NotBegun) => LOOK,
                Err(_) => {
                    let wait = pause;
                    pause = pause.saturating_mul(2).min(LONGEST);
                    wait
                }
            };
            tokio::time::sleep(wait.min(self.inner.parts.settings.interval)).await;
        }
    }

    async fn look(&self, begin: bool) -> Result<(), AnchorError> {
        let due = if begin { Some(AnchorReason::Start) } else { self.due().await? };
        if let Some(reason) = due {
            self.anchor(reason).await?;
        }
        Ok(())
    }
}

/// Why there was no last anchor, if there was none.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, AnchorError>>) -> Option<String> {
    match tokio::time::timeout(limit, work).await {
        Ok(made) => made.err().map(|error| error.to_string()),
        Err(_) => Some("it took too long".to_owned()),
    }
}
