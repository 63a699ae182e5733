//! Records to take away.

use super::super::action::AuditExport;
use super::super::endpoint::Answer;
use super::super::{Call, Problem};

/// Export records, as a bundle that can be verified, as JSON lines, or as CSV.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", responses((status = 200)))]
pub(in crate::api) async fn export(_: Call<AuditExport>) -> Answer {
    Err(Problem::new(503, "unanswerable", "exports are not there"))
}
