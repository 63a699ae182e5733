//! How well the log is anchored, for everybody who wants to know without asking the database: health,
//! metrics, policy. Whatever is not known counts against it: the age of what may not be anchored goes on
//! growing while nobody can look.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::watch;

use super::anchor::AnchorStatus;
use crate::clock::Clock;
use crate::config::{AnchorLimits, Catalog};
use crate::store::{EpochRow, RecordFilter, Store, StoreError};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnchorLevel {
    /// Nothing is anchored, by choice.
    Off,
    /// As promised.
    Green,
    /// Records wait, or the next anchor is late.
    Amber,
    /// Records have waited for long.
    Red,
    /// So long that policy refuses what cannot be taken back.
    Overdue,
}

impl AnchorLevel {
    /// All of them, from good to bad.
    pub const ALL: [Self; 5] = [Self::Off, Self::Green, Self::Amber, Self::Red, Self::Overdue];

    /// The word that policy, health and records have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
            Self::Overdue => "overdue",
        }
    }
}

/// The newest anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastAnchor {
    /// The epoch that it is of.
    pub epoch: u64,
    /// Its number.
    pub number: u64,
    /// Records that it covers.
    pub size: u64,
    /// When it was made, as in its metadata.
    pub made_at: String,
    /// Until when the next one was promised.
    pub next_due: String,
    /// Seconds since it was made.
    pub age_s: i64,
    /// Seconds until the next one is due; less than 0 when it is late.
    pub due_in_s: i64,
}

/// How well the log is anchored at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorState {
    /// In a word.
    pub level: AnchorLevel,
    /// Seconds since the oldest record was written that no anchor covers; 0 when there is none.
    pub unanchored_s: u64,
    /// Records that no anchor covers, when the database was last read.
    pub unanchored: u64,
    /// The newest anchor; none when there never was one.
    pub last: Option<LastAnchor>,
    /// Whether a folder or a software key stands in for S3 and KMS.
    pub development: bool,
    /// What is wrong, if that is known.
    pub fault: Option<String>,
    /// What tells one time of trouble from another, the same on all replicas: the last anchor before it.
    pub(super) trouble: String,
}

/// The state of anchors, shared by all requests.
#[derive(Clone)]
pub struct Anchors {
    clock: Clock,
    /// None when nothing is anchored.
    known: Option<Arc<ArcSwap<Known>>>,
    development: bool,
    /// How making them goes, where this process does.
    making: Option<watch::Receiver<AnchorStatus>>,
    /// What is wrong besides, by whoever found it.
    fault: Arc<Mutex<Option<String>>>,
}

/// What the last look at the database showed.
#[derive(Clone, Debug)]
struct Known {
    limits: AnchorLimits,
    /// Why the limits are not those that were set.
    misset: Option<String>,
    head: u64,
    /// Records that are covered.
    covered: u64,
    last: Option<Last>,
    waiting: Waiting,
    /// Why the last look failed.
    unread: Option<String>,
    /// What is wrong by the record: other replicas, or a process of its own, may make the anchors.
    recorded: Option<String>,
    heard: Heard,
}

/// What was heard of making anchors, and after which one: another replica may have made the next since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Heard {
    failures: u32,
    trouble: Option<String>,
    after: Option<(u64, u64)>,
}

impl Heard {
    fn of(status: &AnchorStatus, last: Option<&Last>, before: &Self) -> Self {
        let newest = last.map(|last| (last.epoch, last.number));
        let after = if status.failures == before.failures { before.after } else { newest };
        let said = match &status.fault {
            Some(fault) => Some(fault.to_string()),
            None => status.trouble.clone().filter(|_| after == newest),
        };
        Self { failures: status.failures, after, trouble: said }
    }
}

#[derive(Clone, Debug)]
struct Last {
    epoch: u64,
    number: u64,
    size: u64,
    made_at: String,
    next_due: String,
    /// The same as times; none for what is no time.
    made: Option<OffsetDateTime>,
    due: Option<OffsetDateTime>,
}

/// Since when something may be without an anchor.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// When the oldest record was written that has none; if all have one, when that was known last.
    since: OffsetDateTime,
    /// Whether there is such a record.
    is_known: bool,
    /// Its age when it was first seen, and how long ago that is: a clock that is set back makes nothing
    /// young again.
    seen: (Duration, Instant),
}

/// Looks that do not come for longer than this leave it open whether there are new records.
const UNSEEN: Duration = Duration::from_secs(5);

impl Waiting {
    fn new(since: OffsetDateTime, is_known: bool, now: OffsetDateTime) -> Self {
        Self { since, is_known, seen: (between(since, now), Instant::now()) }
    }

    fn age(&self, now: OffsetDateTime) -> Duration {
        let (then, at) = self.seen;
        let age = between(self.since, now).max(then.saturating_add(at.elapsed()));
        if self.is_known || age > UNSEEN { age } else { Duration::ZERO }
    }
}

fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// From one time to a later one; nothing when it is not later.
fn between(from: OffsetDateTime, to: OffsetDateTime) -> Duration {
    Duration::try_from(to - from).unwrap_or_default()
}

impl Anchors {
    /// Nothing is anchored.
    #[must_use]
    pub fn off(clock: Clock) -> Self {
        Self { clock, known: None, development: false, making: None, fault: Arc::default() }
    }

    /// Anchors are made, by this process (then `making` says how that goes) or by another. Nothing is known
    /// yet, so something may be waiting from now on.
    #[must_use]
    pub fn new(clock: Clock, development: bool, making: Option<watch::Receiver<AnchorStatus>>) -> Self {
        let now = clock.now();
        let known = Known {
            limits: AnchorLimits::default(),
            misset: None,
            head: 0,
            covered: 0,
            last: None,
            waiting: Waiting::new(now, false, now),
            unread: None,
            recorded: None,
            heard: Heard::default(),
        };
        let known = Some(Arc::new(ArcSwap::from_pointee(known)));
        Self { clock, known, development, making, fault: Arc::default() }
    }

    /// How it is now.
    #[must_use]
    pub fn state(&self) -> AnchorState {
        let Some(known) = &self.known else { return AnchorState::off() };
        let (known, now) = (known.load(), self.clock.now());
        let (level, unanchored_s) = known.level(now);
        let last = known.last.as_ref().map(|last| last.at(now));
        let made = known.heard.trouble.clone().or_else(|| known.recorded.clone());
        let found = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fault = [made, found, known.unread.clone(), known.misset.clone()].into_iter().flatten();
        AnchorState {
            level,
            unanchored_s,
            unanchored: known.head.saturating_sub(known.covered),
            last,
            development: self.development,
            trouble: known.trouble(),
            fault: Some(fault.collect::<Vec<_>>().join("; ")).filter(|fault| !fault.is_empty()),
        }
    }

    /// The level now, and the seconds since the oldest record was written that no anchor covers.
    #[must_use]
    pub fn level(&self) -> (AnchorLevel, u64) {
        self.known.as_ref().map_or((AnchorLevel::Off, 0), |known| known.load().level(self.clock.now()))
    }

    /// Looks at the database. What cannot be read leaves everything as it was, but older.
    pub async fn refresh(&self, store: &Store, catalog: &Catalog) {
        let Some(shared) = &self.known else { return };
        let before = shared.load_full();
        let known = match look(store, catalog, &before, self.clock.now()).await {
            Ok(known) => self.heard(known, &before),
            Err(error) => {
                let unread = Some(format!("the state of anchors cannot be read: {error}"));
                Known { unread, ..Known::clone(&before) }
            }
        };
        shared.store(Arc::new(known));
    }

    fn heard(&self, known: Known, before: &Known) -> Known {
        let Some(making) = &self.making else { return known };
        let heard = Heard::of(&making.borrow(), known.last.as_ref(), &before.heard);
        Known { heard, ..known }
    }

    /// Says what is wrong besides, or that nothing is any more.
    pub fn say(&self, fault: Option<String>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Whether anything is anchored.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.known.is_some()
    }
}

async fn look(store: &Store, catalog: &Catalog, before: &Known, now: OffsetDateTime) -> Result<Known, StoreError> {
    let rows = store.setting_list().await?;
    let stored = |name: &str| rows.iter().find(|row| row.name == name).map(|row| &row.value);
    // Limits that nobody could have meant: the usual ones hold.
    let (limits, misset) = match catalog.anchor_limits(stored) {
        Ok(limits) => (limits, None),
        Err(problem) => (AnchorLimits::default(), Some(format!("{problem}: the defaults hold"))),
    };
    let last = store.anchor_last().await?;
    let epochs = store.epochs().await?;
    let covered = last.as_ref().map_or(0, |row| covered((row.epoch, row.size), &epochs));
    let since = store.unanchored_since(covered).await?;
    let head = store.head().await?.map_or(0, |(_, head)| head.seq);
    let waiting = match since.as_deref() {
        None => Waiting::new(now, false, now),
        Some(since) => {
            let since = parse(since).ok_or_else(|| StoreError::Corrupt("a record without a time".to_owned()))?;
            let same = before.waiting.is_known && before.waiting.since == since;
            if same { before.waiting } else { Waiting::new(since, true, now) }
        }
    };
    let last = last.map(|row| Last {
        epoch: row.epoch,
        number: row.number,
        size: row.size,
        made: parse(&row.made_at),
        due: parse(&row.next_due),
        made_at: row.made_at,
        next_due: row.next_due,
    });
    let mut known =
        Known { limits, misset, head, covered, last, waiting, unread: None, recorded: None, heard: Heard::default() };
    if known.level(now).0 > AnchorLevel::Green {
        known.recorded = recorded_fault(store, covered).await?;
    }
    Ok(known)
}

/// What the newest record of a fault says, of those that no anchor covers.
async fn recorded_fault(store: &Store, covered: u64) -> Result<Option<String>, StoreError> {
    let wanted =
        RecordFilter { action: Some("anchor:fault".to_owned()), first: Some(covered + 1), ..RecordFilter::default() };
    let found = store.records_search(&wanted, None, 1).await?;
    let said = found.first().and_then(|record| serde_json::from_slice::<serde_json::Value>(&record.canon).ok());
    Ok(said.and_then(|record| record.get("message")?.as_str().map(str::to_owned)))
}

/// Records that an anchor of that epoch and size covers: where epochs have begun since, only those that
/// were kept.
fn covered((epoch, size): (u64, u64), epochs: &[EpochRow]) -> u64 {
    let kept = epochs.iter().filter(|begun| begun.number > epoch).map(|begun| begun.kept);
    kept.fold(size, u64::min)
}

fn level(limits: &AnchorLimits, age: Duration, late: Duration) -> AnchorLevel {
    if limits.refuse.is_some_and(|refuse| age >= refuse) {
        AnchorLevel::Overdue
    } else if age >= limits.red {
        AnchorLevel::Red
    } else if age.max(late) >= limits.amber {
        AnchorLevel::Amber
    } else {
        AnchorLevel::Green
    }
}

impl Known {
    fn level(&self, now: OffsetDateTime) -> (AnchorLevel, u64) {
        let age = self.waiting.age(now);
        // Nothing may be waiting, and still nobody may be making anchors.
        let late = self.last.as_ref().and_then(|last| last.due).map_or(Duration::ZERO, |due| between(due, now));
        (level(&self.limits, age, late), age.as_secs())
    }

    fn trouble(&self) -> String {
        let (epoch, number) = self.last.as_ref().map_or((0, 0), |last| (last.epoch, last.number));
        format!("{epoch}.{number}")
    }
}

impl AnchorState {
    /// Nothing is anchored.
    const fn off() -> Self {
        Self {
            level: AnchorLevel::Off,
            unanchored_s: 0,
            unanchored: 0,
            last: None,
            development: false,
            fault: None,
            trouble: String::new(),
        }
    }
}

impl Last {
    fn at(&self, now: OffsetDateTime) -> LastAnchor {
        LastAnchor {
            epoch: self.epoch,
            number: self.number,
            size: self.size,
            made_at: self.made_at.clone(),
            next_due: self.next_due.clone(),
            age_s: self.made.map_or(i64::MAX, |made| (now - made).whole_seconds()),
            due_in_s: self.due.map_or(i64::MIN, |due| (due - now).whole_seconds()),
        }
    }
}

impl fmt::Debug for Anchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Anchors").field(&self.state()).finish()
    }
}

#[cfg(test)]
mod tests;
