//! The one thing that all workers of a rack share.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::watch;

use super::data::Data;
use super::options::RackOptions;
use super::received::{Inbox, Received};
use super::seed;
use super::trips::{Trip, Trips};

struct Shared {
    options: RackOptions,
    data: Mutex<Data>,
    inbox: Inbox,
    trips: Trips,
    pulse: watch::Sender<u64>,
}

/// What a rack holds and what it received; cheap to clone.
#[derive(Clone)]
pub struct RackState(Arc<Shared>);

impl RackState {
    pub(super) fn new(options: RackOptions, addr: SocketAddr) -> Self {
        let data = Mutex::new(seed::data(&options, addr));
        let inbox = Inbox::new(options.keep);
        Self(Arc::new(Shared { options, data, inbox, trips: Trips::default(), pulse: watch::Sender::new(0) }))
    }

    /// How the rack was started.
    #[must_use]
    pub fn options(&self) -> &RackOptions {
        &self.0.options
    }

    /// Every request that came since the start or the last [`RackState::clear`], in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.0.inbox.all()
    }

    /// Forgets what was received; the rack's apps stay as they are.
    pub fn clear(&self) {
        self.0.inbox.clear();
    }

    /// Waits until what was received satisfies `enough`, and gives it. Never returns if that
    /// never comes: put a timeout around it.
    pub async fn until(&self, mut enough: impl FnMut(&[Received]) -> bool) -> Vec<Received> {
        let mut changes = self.0.inbox.watch();
        loop {
            changes.mark_unchanged();
            let received = self.received();
            if enough(&received) || changes.changed().await.is_err() {
                return received;
            }
        }
    }

    /// The release that an app runs, if there is such an app and it runs one.
    #[must_use]
    pub fn release_of(&self, app: &str) -> Option<String> {
        self.data().apps.get(app).map(|app| app.release.clone()).filter(|release| !release.is_empty())
    }

    /// Lets the next request with this method, whose path ends so, go wrong.
    pub fn trip(&self, method: &str, ending: &str, trip: Trip) {
        self.0.trips.add(method, ending, trip);
    }

    pub(super) fn trips(&self) -> &Trips {
        &self.0.trips
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.0.inbox
    }

    pub(super) fn data(&self) -> MutexGuard<'_, Data> {
        self.0.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.0.options.clock.now()
    }

    /// Wakes all who follow a log or wait for a build.
    pub(super) fn changed(&self) {
        self.0.pulse.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.0.pulse.subscribe()
    }
}

impl fmt::Debug for RackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RackState").field("options", &self.0.options).finish_non_exhaustive()
    }
}
