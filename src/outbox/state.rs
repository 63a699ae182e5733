//! How the outbox is doing, for readiness and metrics.

use std::sync::Arc;

use time::OffsetDateTime;
use tokio::sync::watch;

use crate::store::OutboxCounts;
use crate::telemetry;

/// A notice that has waited for longer, in seconds, shows that something is wrong.
const LATE: u64 = 15 * 60;

/// How the outbox is doing, as of the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxState {
    /// Whether there is somebody to send to.
    pub is_on: bool,
    /// What lies in it.
    pub counts: OutboxCounts,
    /// Why the last attempt failed, if it did.
    pub failure: Option<String>,
}

impl OutboxState {
    /// Age of the oldest notice that waits, in seconds.
    #[must_use]
    pub fn oldest_s(&self, now: OffsetDateTime) -> u64 {
        let age = self.counts.oldest.map_or(0, |oldest| (now - oldest).whole_seconds());
        u64::try_from(age).unwrap_or_default()
    }

    /// What somebody should look at.
    #[must_use]
    pub fn problem(&self, now: OffsetDateTime) -> Option<String> {
        if !self.is_on {
            return None;
        }
        let because = self.failure.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        let late = self.oldest_s(now);
        if late > LATE {
            return Some(format!("the oldest notice has waited for {late} seconds{because}"));
        }
        (self.counts.dead > 0).then(|| format!("notices given up in the last seven days: {}", self.counts.dead))
    }
}

/// The state, shared with whoever shows it.
#[derive(Clone, Debug)]
pub struct OutboxStates(Arc<watch::Sender<OutboxState>>);

impl OutboxStates {
    pub(super) fn new(is_on: bool) -> Self {
        Self(Arc::new(watch::Sender::new(OutboxState { is_on, ..OutboxState::default() })))
    }

    /// As of the last look.
    #[must_use]
    pub fn now(&self) -> OutboxState {
        self.0.borrow().clone()
    }

    pub(super) fn failed(&self, why: Option<String>) {
        self.0.send_modify(|state| state.failure = why);
    }

    pub(super) fn counted(&self, counts: OutboxCounts, now: OffsetDateTime) {
        self.0.send_modify(|state| state.counts = counts);
        metrics::gauge!(telemetry::OUTBOX_WAITING).set(number(counts.waiting));
        metrics::gauge!(telemetry::OUTBOX_DEAD).set(number(counts.dead));
        metrics::gauge!(telemetry::OUTBOX_OLDEST_SECONDS).set(number(self.now().oldest_s(now)));
    }
}

fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_or_given_up_is_a_problem() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(1);
        let state = |is_on, age_s, dead, failure: Option<&str>| OutboxState {
            is_on,
            counts: OutboxCounts { waiting: 1, dead, oldest: Some(now - time::Duration::seconds(age_s)) },
            failure: failure.map(str::to_owned),
        };
        assert_eq!(state(true, 900, 0, Some("down")).problem(now), None);
        assert_eq!(state(false, 5000, 2, None).problem(now), None, "nobody is to be told");
        assert_eq!(state(true, -5, 0, None).oldest_s(now), 0, "a clock that is ahead");
        let late = state(true, 901, 2, Some("down")).problem(now).unwrap();
        assert_eq!(late, "the oldest notice has waited for 901 seconds: down");
        assert!(state(true, 0, 2, None).problem(now).unwrap().ends_with("given up in the last seven days: 2"));
    }
}
