//! The store and the record, on both databases.

mod append;
mod store;
mod verify;
