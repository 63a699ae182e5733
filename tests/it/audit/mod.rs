//! The store and the record, on both databases.

mod append;
