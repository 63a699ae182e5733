//! What is known of a request so far, for its records and its answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use time::OffsetDateTime;

use crate::identity::Identity;
use crate::routes::Row;

/// What is known of a request so far. Grows from stage to stage.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Id of the request, made here; a client cannot choose it.
    pub request_id: String,
    /// The peer of the connection.
    pub source_ip: IpAddr,
    /// When it arrived.
    pub at: OffsetDateTime,
    /// Whether the clock had not gone back by then.
    pub is_clock_sound: bool,
    /// When it arrived, to measure durations.
    pub started: Instant,
    /// Method as sent.
    pub method: String,
    /// Path as sent, without query; bounded when it is recorded.
    pub path: String,
    /// Whether a websocket was asked for.
    pub socket: bool,
    /// Who calls.
    pub identity: Option<Arc<Identity>>,
    /// Which line of the table.
    pub row: Option<&'static Row>,
    /// Cedar entity, `Type::id`.
    pub resource: Option<String>,
    /// What its records say beyond that: the challenge that was posed or met, the approval, what would change.
    pub facts: BTreeMap<&'static str, String>,
}

impl Trace {
    /// Milliseconds since it arrived.
    #[must_use]
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
