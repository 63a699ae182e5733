//! What a test or the `dev` command may choose.

use std::fmt;
use std::time::Duration;

use crate::clock::Clock;

/// How a development rack behaves.
#[derive(Clone)]
pub struct RackOptions {
    /// The rack's name; the console calls it `organization/name`.
    pub name: String,
    /// The rack's password. Empty means that the rack lets everybody in, as a real one does.
    pub password: String,
    /// Wall-clock time of everything the rack dates.
    pub clock: Clock,
    /// Time between two lines of a log that is followed.
    pub heartbeat: Duration,
    /// How long a build runs.
    pub build_time: Duration,
    /// How long an app is `updating` after a promotion; zero promotes at once.
    pub promote_time: Duration,
    /// Key under `tmp/` and length of an object that every app has: zeros, made while they are sent.
    pub large_object: Option<(String, u64)>,
    /// Most requests that are kept for [`super::RackState::received`]; older ones are forgotten.
    pub keep: usize,
    /// Worker threads.
    pub workers: usize,
}

impl Default for RackOptions {
    fn default() -> Self {
        Self {
            name: "dev".to_owned(),
            password: "dev-rack-password".to_owned(),
            clock: Clock::system(),
            heartbeat: Duration::from_secs(1),
            build_time: Duration::from_secs(1),
            promote_time: Duration::ZERO,
            large_object: Some(("tmp/large-1g".to_owned(), 1 << 30)),
            keep: 10_000,
            workers: 1,
        }
    }
}

impl fmt::Debug for RackOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RackOptions")
            .field("name", &self.name)
            .field("heartbeat", &self.heartbeat)
            .field("build_time", &self.build_time)
            .field("promote_time", &self.promote_time)
            .field("large_object", &self.large_object)
            .field("keep", &self.keep)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
