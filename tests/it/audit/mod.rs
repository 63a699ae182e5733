//! The store and the record, on both databases.

mod append;
mod hostile;
pub mod keeper;
mod outage;
mod private;
mod recovery;
mod search;
mod store;
mod verify;
