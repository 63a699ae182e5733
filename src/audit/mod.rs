//! The record of every decision: one chain of hashes per database, written before anything is
//! forwarded and before any answer leaves. The format is specified in `docs/audit-format.md`.

pub mod anchor;
mod batch;
pub mod erase;
mod event;
mod intent;
mod keeper;
mod record;
mod recovery;
mod search;
mod sink;
pub mod tree;
pub mod verify;
mod words;
mod writer;

pub use crate::proof::canonical::Value;
pub use event::{Actor, ERASED, Epoch, Event, EventKind, Outcome, OutcomeResult, PERSONAL, Via};
pub use intent::Intent;
pub use keeper::Keeper;
pub use search::search;
pub use writer::{Receipt, Unavailable, Writer, WriterOptions, WriterStatus};
