//! Anchors: signed checkpoints of the log, put where nobody can change them. `docs/audit-format.md`
//! says what they consist of.

mod aws;
mod error;
mod folder;
mod objects;
mod s3;
mod signer;

pub use aws::Aws;
pub use error::{AnchorError, Behind, Fault};
pub use folder::Folder;
pub use objects::{ObjectVersion, Objects, Put};
pub use s3::S3;
pub use signer::{Signer, make_key_file};
