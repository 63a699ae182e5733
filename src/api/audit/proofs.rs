//! What anybody can check: the newest checkpoint, and proofs about it.

use super::super::action::{AuditCheckpoint, AuditConsistency, AuditProve};
use super::super::endpoint::Answer;
use super::super::{Call, Problem};

/// The proof of one record, as one file.
#[utoipa::path(get, path = "/api/v1/audit/records/{seq}/proof", tag = "audit", responses((status = 200)))]
pub(in crate::api) async fn record(_: Call<AuditProve>) -> Answer {
    Err(Problem::new(503, "unanswerable", "proofs are not there"))
}

/// The newest anchor, or that of a number.
#[utoipa::path(get, path = "/api/v1/audit/checkpoint", tag = "audit", responses((status = 200)))]
pub(in crate::api) async fn checkpoint(_: Call<AuditCheckpoint>) -> Answer {
    Err(Problem::new(503, "unanswerable", "anchors are not there"))
}

/// The proof that a later log begins with an earlier one.
#[utoipa::path(get, path = "/api/v1/audit/consistency", tag = "audit", responses((status = 200)))]
pub(in crate::api) async fn consistency(_: Call<AuditConsistency>) -> Answer {
    Err(Problem::new(503, "unanswerable", "proofs are not there"))
}
