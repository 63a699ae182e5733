//! What others must hear of, on its way to them: notices that lie in the database are sent, again and again,
//! until the receiver has them or they are given up.
//!
//! Each notice arrives at least once; its id tells a receiver that it has it already. The order in which
//! notices arrive is not that of what happened.

mod pause;
mod send;
mod state;
mod webhook;

use std::time::Duration;

use futures_util::future::BoxFuture;
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use send::{Outbox, Round};
pub use state::{OutboxState, OutboxStates};
pub use webhook::Webhook;

use crate::store::MessageRow;

/// A notice as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id, the same in each attempt.
    pub id: String,
    /// What is sent: JSON, the same in each attempt.
    pub body: String,
    /// When this attempt is made.
    pub at: OffsetDateTime,
}

impl Message {
    fn new(row: &MessageRow, at: OffsetDateTime) -> Self {
        let timestamp = row.created_at.format(&Rfc3339).unwrap_or_default();
        let body = serde_json::json!({ "type": row.kind, "timestamp": timestamp, "data": row.data });
        Self { id: row.id.clone(), body: body.to_string(), at }
    }
}

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct SendError {
    /// In words that hold no secret and nothing that the receiver said.
    pub why: String,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether no other attempt can help.
    pub is_final: bool,
}

impl SendError {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), retry_after: None, is_final: false }
    }
}

/// A way to tell somebody.
pub trait Sender: Send + Sync {
    /// What it is, for logs.
    fn name(&self) -> &'static str;

    /// Sends a message once. Must end by itself, within seconds.
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>>;
}
