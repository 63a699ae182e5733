//! The record of every decision: one chain of hashes per database, written before anything is
//! forwarded and before any answer leaves. The format is specified in `docs/audit-format.md`.

mod alarm;
pub mod anchor;
mod batch;
pub mod erase;
mod event;
pub mod export;
pub mod filter;
mod intent;
mod keeper;
pub mod live;
pub mod prove;
mod record;
mod recovery;
mod search;
mod sink;
mod state;
pub mod tree;
pub mod values;
mod words;
mod writer;

pub use crate::proof::canonical::Value;
pub use alarm::AnchorWatch;
pub use event::{Actor, ERASED, Epoch, Event, EventKind, Outcome, OutcomeResult, PERSONAL, Via};
pub use intent::Intent;
pub use keeper::Keeper;
pub use search::search;
pub use state::{AnchorLevel, AnchorState, Anchors, LastAnchor};
pub use writer::{Receipt, Unavailable, Writer, WriterOptions, WriterStatus};
