//! The store and the record, on both databases.

mod append;
mod hostile;
mod outage;
mod recovery;
mod store;
mod verify;
