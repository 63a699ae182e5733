//! Looks at the state of anchors once a second: for requests, for metrics, and for the record when it
//! changes. Of several replicas, one writes that record.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::event::{Event, EventKind};
use super::state::{AnchorLevel, AnchorState, Anchors};
use super::writer::Writer;
use crate::clock::Clock;
use crate::config::Catalog;
use crate::store::{RecordFilter, Store, StoreError};

/// How often the state is read.
const EVERY: Duration = Duration::from_secs(1);
/// Looks in a row that show the same before it counts as a change: a gateway that starts has records
/// from before that its first anchor is about to cover.
const STEADY: u32 = 3;
/// For how long a time of trouble is known to have been told.
const TOLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the watch works with.
#[derive(Debug)]
pub struct AnchorWatch {
    /// The state that all requests read.
    pub anchors: Anchors,
    /// Where it is read from.
    pub store: Store,
    /// What of the limits is pinned.
    pub catalog: Arc<Catalog>,
    /// Where changes go.
    pub writer: Writer,
    /// The time.
    pub clock: Clock,
}

impl AnchorWatch {
    /// Looks, for as long as it is polled.
    pub async fn run(self) {
        if !self.anchors.is_on() {
            return measure(&self.anchors.state());
        }
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alarms = Alarms::resume(&self.store).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "nobody knows what was told of the state of anchors");
            Alarms::new()
        });
        loop {
            ticks.tick().await;
            self.anchors.refresh(&self.store, &self.catalog).await;
            let state = self.anchors.state();
            measure(&state);
            if alarms.is_due(&state) {
                alarms.tell(&self, &state).await;
            }
        }
    }
}

/// What was told, and what is about to be.
struct Alarms {
    told: AnchorLevel,
    /// What the last looks showed, and how many of them.
    shown: (AnchorLevel, u32),
    /// The trouble that was told last.
    trouble: Option<String>,
    /// Whether this replica is the one to tell, while it has not managed to.
    ours: bool,
}

impl Alarms {
    const fn new() -> Self {
        Self { told: AnchorLevel::Green, shown: (AnchorLevel::Green, 0), trouble: None, ours: false }
    }

    /// What the record says was told last, so that the end of a trouble is told after a restart too.
    async fn resume(store: &Store) -> Result<Self, StoreError> {
        let (mut alarms, mut newest) = (Self::new(), 0);
        for level in AnchorLevel::ALL.into_iter().filter(|level| *level > AnchorLevel::Off) {
            let wanted = RecordFilter { action: Some(action(level).to_owned()), ..RecordFilter::default() };
            let found = store.records_search(&wanted, None, 1).await?;
            let Some(record) = found.first().filter(|record| record.seq > newest) else { continue };
            let said: serde_json::Value = serde_json::from_slice(&record.canon).unwrap_or_default();
            let trouble = said.pointer("/detail/trouble").and_then(serde_json::Value::as_str).map(str::to_owned);
            newest = record.seq;
            alarms.told = level;
            alarms.trouble = trouble.filter(|_| level > AnchorLevel::Green);
        }
        Ok(alarms)
    }

    fn is_due(&mut self, state: &AnchorState) -> bool {
        self.shown = match self.shown {
            (level, count) if level == state.level => (level, count.saturating_add(1)),
            _ => (state.level, 1),
        };
        state.level != self.told && self.shown.1 >= STEADY
    }

    async fn tell(&mut self, watch: &AnchorWatch, state: &AnchorState) {
        let trouble = self.trouble.get_or_insert_with(|| state.trouble.clone());
        let event = event(state, trouble);
        if !self.ours {
            let key = format!("{}:{trouble}", event.action);
            match watch.store.rate_hit(&key, TOLD, watch.clock.now()).await {
                Ok(hit) => self.ours = hit.count == 1,
                Err(error) => return tracing::debug!(%error, "nobody knows yet who tells of the state of anchors"),
            }
        }
        if self.ours {
            log(state, event.message.as_deref().unwrap_or_default());
            if watch.writer.append(event).await.is_err() {
                return;
            }
        }
        self.ours = false;
        self.told = state.level;
        if state.level == AnchorLevel::Green {
            self.trouble = None;
        }
    }
}

fn log(state: &AnchorState, message: &str) {
    match state.level {
        AnchorLevel::Off | AnchorLevel::Green => tracing::info!("{message}"),
        AnchorLevel::Amber => warn(state, message),
        AnchorLevel::Red | AnchorLevel::Overdue => shout(state, message),
    }
}

fn warn(state: &AnchorState, message: &str) {
    tracing::warn!(fault = state.fault, "{message}");
}

fn shout(state: &AnchorState, message: &str) {
    tracing::error!(fault = state.fault, "{message}");
}

const fn action(level: AnchorLevel) -> &'static str {
    match level {
        AnchorLevel::Off | AnchorLevel::Green => "anchor:recovered",
        AnchorLevel::Amber => "anchor:amber",
        AnchorLevel::Red => "anchor:red",
        AnchorLevel::Overdue => "anchor:overdue",
    }
}

fn event(state: &AnchorState, trouble: &str) -> Event {
    let waiting =
        format!("{} records are without an anchor, the oldest for {} s", state.unanchored, state.unanchored_s);
    let message = match state.level {
        AnchorLevel::Off | AnchorLevel::Green => "the log is anchored again".to_owned(),
        AnchorLevel::Amber | AnchorLevel::Red => waiting,
        AnchorLevel::Overdue => format!("{waiting}: destruction and administration are refused"),
    };
    let last = state.last.as_ref();
    let detail = [
        ("unanchored", Some(state.unanchored.to_string())),
        ("unanchored_s", Some(state.unanchored_s.to_string())),
        ("anchor", last.map(|last| last.number.to_string())),
        ("epoch", last.map(|last| last.epoch.to_string())),
        ("size", last.map(|last| last.size.to_string())),
        ("fault", state.fault.clone()),
        ("trouble", Some(trouble.to_owned())),
    ];
    Event {
        message: Some(message),
        detail: detail.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        ..Event::new(EventKind::System, "", action(state.level))
    }
}

fn measure(state: &AnchorState) {
    metrics::gauge!("audit_anchor_state").set(rank(state.level));
    if state.level == AnchorLevel::Off {
        return;
    }
    metrics::gauge!("audit_unanchored_records").set(number(i64::try_from(state.unanchored).unwrap_or(i64::MAX)));
    metrics::gauge!("audit_unanchored_seconds").set(number(i64::try_from(state.unanchored_s).unwrap_or(i64::MAX)));
    if let Some(last) = &state.last {
        metrics::gauge!("audit_anchor_age_seconds").set(number(last.age_s));
        metrics::gauge!("audit_anchor_next_due_seconds").set(number(last.due_in_s));
    }
}

/// 0 for off, 1 for green, and so on to 4 for overdue.
fn rank(level: AnchorLevel) -> f64 {
    let place = AnchorLevel::ALL.iter().position(|one| *one == level).unwrap_or_default();
    number(i64::try_from(place).unwrap_or_default())
}

/// Gauges take floats; what is beyond 68 years in seconds is as good as that.
fn number(value: i64) -> f64 {
    let bounded = value.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    i32::try_from(bounded).map_or(0.0, f64::from)
}
