//! The record of every decision: one chain of hashes per database, written before anything is
//! forwarded and before any answer leaves. The format is specified in `docs/audit.md`.

mod alarm;
mod batch;
mod event;
mod intent;
mod record;
mod recovery;
mod sink;
mod state;
pub mod verify;
mod writer;

pub use crate::proof::canonical::Value;
pub use alarm::AnchorWatch;
pub use event::{Actor, Event, EventKind, Outcome, OutcomeResult, Via};
pub use intent::Intent;
pub use state::{AnchorFault, AnchorLevel, AnchorState, Anchors, LastAnchor};
pub use writer::{Receipt, Unavailable, Writer, WriterOptions, WriterStatus};
