//! What anybody can check about the audit log with nothing but files and a public key: the bytes of
//! records, the chain, the tree, signed checkpoints. No database, no network, no clock; only `bundle` reads files. The
//! format is specified in `docs/audit-format.md`.

pub mod anchor;
pub mod bundle;
pub mod canonical;
pub mod chain;
pub mod commitment;
pub mod key;
pub mod moment;
pub mod note;
pub mod record_proof;
pub mod tile;
pub mod tree;
pub mod trust;
pub mod verify;
