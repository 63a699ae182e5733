//! The record of every decision: one chain of hashes per database, written before anything is
//! forwarded and before any answer leaves. The format is specified in `docs/audit.md`.

pub mod anchor;
mod batch;
mod event;
mod intent;
mod record;
mod recovery;
mod sink;
pub mod verify;
mod writer;

pub use crate::proof::canonical::Value;
pub use event::{Actor, Event, EventKind, Outcome, OutcomeResult, Via};
pub use intent::Intent;
pub use writer::{Receipt, Unavailable, Writer, WriterOptions, WriterStatus};
