//! Records, newest first, by what they say.

use super::super::action::{AuditRead, AuditSearch};
use super::super::endpoint::Answer;
use super::super::{Call, Problem};

/// Search the records, newest first.
#[utoipa::path(get, path = "/api/v1/audit/records", tag = "audit", responses((status = 200)))]
pub(in crate::api) async fn search(_: Call<AuditSearch>) -> Answer {
    Err(Problem::new(503, "unanswerable", "the search is not there"))
}

/// One record.
#[utoipa::path(get, path = "/api/v1/audit/records/{seq}", tag = "audit", responses((status = 200)))]
pub(in crate::api) async fn read(_: Call<AuditRead>) -> Answer {
    Err(Problem::new(503, "unanswerable", "records are not there"))
}
