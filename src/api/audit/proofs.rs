//! What anybody can check: what was signed about the log, and proofs that lead to it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::action::{AuditCheckpoint, AuditConsistency, AuditProve};
use super::super::endpoint::Answer;
use super::super::{Call, Problem, Reply};
use super::{bad_value, number, seq};
use crate::audit::prove::{ProveError, prove};
use crate::audit::tree;
use crate::store::AnchorRow;

/// An anchor.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Anchor {
    /// The epoch of the log, from 1.
    epoch: u64,
    /// Its number in the epoch, from 1.
    number: u64,
    /// Records that it covers.
    size: u64,
    /// Root of the tree over these, in hex.
    root: String,
    /// Chain value after the last of them, in hex.
    chain: String,
    /// When it was made.
    made_at: String,
    /// Until when it promises the next one.
    next_due: String,
    /// Whether a software key or a folder stands in for KMS and S3.
    development: bool,
    /// The signed note of the checkpoint.
    checkpoint: String,
    /// The signed note of the metadata.
    meta: String,
}

impl From<AnchorRow> for Anchor {
    fn from(row: AnchorRow) -> Self {
        let text = |note: Vec<u8>| String::from_utf8_lossy(&note).into_owned();
        Self {
            epoch: row.epoch,
            number: row.number,
            size: row.size,
            root: hex::encode(row.root),
            chain: hex::encode(row.chain),
            made_at: row.made_at,
            next_due: row.next_due,
            development: row.development,
            checkpoint: text(row.checkpoint),
            meta: text(row.meta),
        }
    }
}

/// The proof that a later log begins with an earlier one (RFC 9162, section 2.1.4).
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Consistency {
    /// Records of the earlier log.
    old: u64,
    /// Records of the later one.
    new: u64,
    /// Hashes, in base64.
    path: Vec<String>,
}

/// The newest anchor, or with `epoch` and `number` that one.
#[utoipa::path(get, path = "/api/v1/audit/checkpoint", tag = "audit", responses(
    (status = 200, body = Anchor),
    (status = 400, description = "Only one of `epoch` and `number` is given, or is no number"),
    (status = 404, description = "There is no such anchor, or none yet"),
))]
pub(in crate::api) async fn checkpoint(call: Call<AuditCheckpoint>) -> Answer {
    let found = match (number(&call, "epoch")?, number(&call, "number")?) {
        (Some(epoch), Some(number)) => call.store().anchor_find(epoch, number).await?,
        (None, None) => call.store().anchor_last().await?,
        (Some(_), None) | (None, Some(_)) => return Err(bad_value("give both epoch and number, or none of them")),
    };
    let found = found.ok_or_else(|| Problem::new(404, "unanchored", "there is no such anchor"))?;
    Reply::json(&Anchor::from(found))
}

/// The proof that a record is in the log, as one file that can be checked by itself.
#[utoipa::path(get, path = "/api/v1/audit/records/{seq}/proof", tag = "audit", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 404, description = "There is no such record, or no anchor covers it yet"),
))]
pub(in crate::api) async fn record(call: Call<AuditProve>) -> Answer {
    let seq = seq(&call)?;
    let proof = prove(&call.gate().keeper, seq).await.map_err(|error| match error {
        ProveError::Unanchored { .. } => Problem::new(404, "unanchored", error.to_string()),
        ProveError::Unfit => unfit(),
        ProveError::Store(error) => error.into(),
    })?;
    Ok(Reply::text(proof.encode())
        .header("content-disposition", format!("attachment; filename=\"record-{seq}.proof\"")))
}

/// The proof that the log of `new` records begins with that of `old`.
#[utoipa::path(get, path = "/api/v1/audit/consistency", tag = "audit", responses(
    (status = 200, body = Consistency),
    (status = 400, description = "`old` or `new` is missing, is no number, or the log has not so many records"),
))]
pub(in crate::api) async fn consistency(call: Call<AuditConsistency>) -> Answer {
    let ends = number(&call, "old")?.zip(number(&call, "new")?);
    let (old, new) = ends.ok_or_else(|| bad_value("give old and new: how many records each log has"))?;
    let head = call.store().head().await?.map_or(0, |(_, head)| head.seq);
    if old > new || new > head {
        return Err(bad_value(format!("old must not be larger than new, and new not larger than {head}")));
    }
    call.gate().keeper.catch_up(new).await?;
    let tiles = tree::tiles(call.store(), new, &[old]).await?;
    let path = tiles.consistency(old, new).ok_or_else(unfit)?;
    Reply::json(&Consistency { old, new, path: path.iter().map(|hash| STANDARD.encode(hash)).collect() })
}

/// No proof is handed out that would not hold.
fn unfit() -> Problem {
    tracing::error!("the tree of the audit log does not fit its newest anchor");
    Problem::new(503, "unprovable", "the log does not fit its newest anchor: tell the operator to verify it")
}
