//! Anchors: signed checkpoints of the log, put where nobody can change them. `docs/audit-format.md`
//! says what they consist of.

mod aws;
mod epoch;
mod error;
mod folder;
mod found;
mod init;
mod load;
mod log;
mod make;
mod objects;
mod policies;
mod run;
mod s3;
mod seal;
mod session;
mod signer;
mod start;
mod status;
mod tiles;

pub use aws::Aws;
pub use epoch::declare_epoch;
pub use error::{AnchorError, Behind, Fault};
pub use folder::Folder;
pub use init::{Check, CheckResult, Inspection, inspect, trust};
pub use load::{Loaded, load};
pub use make::{AnchorParts, Anchorer};
pub use objects::{ObjectVersion, Objects, Put};
pub use policies::PolicyFacts;
pub use s3::S3;
pub use seal::Sealer;
pub use signer::{Signer, make_key_file};
pub use start::{StartCheck, check_start};
pub use status::AnchorStatus;
