//! Records, newest first, by what they say.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::super::action::{Action, AuditRead, AuditSearch};
use super::super::endpoint::Answer;
use super::super::{Call, Problem, Reply};
use super::{bad_value, invalid_is_bad, seq};
use crate::audit::filter::{filter, spelled};
use crate::audit::values::values_of;
use crate::audit::{self};
use crate::store::{Record, RecordFilter};

/// A record, as it is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct RecordView {
    /// Its number.
    seq: u64,
    /// Its hash, in hex.
    leaf: String,
    /// The chain value after it, in hex.
    chain: String,
    /// What it says; null when the stored bytes are none of a record.
    #[schema(value_type = Option<Object>)]
    record: Option<Value>,
    /// The personal values that it has commitments to, as far as they are still there.
    private: BTreeMap<String, String>,
}

/// Records, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Found {
    /// The records.
    items: Vec<RecordView>,
    /// `cursor` of the older ones, for the same search; null when there are none.
    next: Option<String>,
}

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 200;

/// Search the records, newest first. Records that are added meanwhile do not move what `cursor` leads to.
#[utoipa::path(get, path = "/api/v1/audit/records", tag = "audit", responses(
    (status = 200, body = Found),
    (status = 400, description = "A value that no record can have"),
))]
pub(in crate::api) async fn search(call: Call<AuditSearch>) -> Answer {
    let query = call.granted().query();
    let wanted = filter(|name| query.get(name)).map_err(|error| bad_value(error.to_string()))?;
    let limit = query.get("limit").map_or(Some(LIMIT), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
    let limit = limit.ok_or_else(|| bad_value(format!("limit must be a whole number from 1 to {LIMIT_MAX}")))?;
    let before = query.get("cursor").map(|cursor| before(cursor, &wanted)).transpose()?;
    let mut asked = spelled(&wanted);
    asked.extend(before.map(|seq| ("before", seq.to_string())));
    call.record_read(&asked).await?;
    let rows = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let keeper = &call.gate().keeper;
    let mut found = audit::search(keeper, &wanted, before, rows).await.map_err(invalid_is_bad)?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|record| cursor(record.seq, &wanted));
    Reply::json(&Found { items: views(&call, found).await?, next })
}

/// One record.
#[utoipa::path(get, path = "/api/v1/audit/records/{seq}", tag = "audit", responses((status = 200, body = RecordView)))]
pub(in crate::api) async fn read(call: Call<AuditRead>) -> Answer {
    let record = call.store().record(seq(&call)?).await?;
    let mut views = views(&call, vec![record]).await?;
    Reply::json(&views.pop())
}

async fn views<A: Action>(call: &Call<A>, records: Vec<Record>) -> Result<Vec<RecordView>, Problem> {
    let seqs: Vec<u64> = records.iter().map(|record| record.seq).collect();
    let mut values = values_of(call.store(), &seqs).await?;
    let view = |record: Record| RecordView {
        seq: record.seq,
        leaf: hex::encode(record.leaf),
        chain: hex::encode(record.chain),
        record: serde_json::from_slice(&record.canon).ok(),
        private: values.remove(&record.seq).unwrap_or_default(),
    };
    Ok(records.into_iter().map(view).collect())
}

/// Where a search goes on. It names the search, so that it leads nowhere in another one.
fn cursor(seq: u64, wanted: &RecordFilter) -> String {
    URL_SAFE_NO_PAD.encode(format!("{seq}.{}", mark(wanted)))
}

fn before(cursor: &str, wanted: &RecordFilter) -> Result<u64, Problem> {
    let bad = || bad_value("cursor must be what the same search gave as next");
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(bad)?;
    let (seq, marked) = text.split_once('.').ok_or_else(bad)?;
    let seq = seq.parse().ok().filter(|seq| *seq > 0 && marked == mark(wanted));
    seq.ok_or_else(bad)
}

/// A few bytes that tell one search from another.
fn mark(wanted: &RecordFilter) -> String {
    let mut hash = Sha256::new();
    for (name, value) in spelled(wanted) {
        // No value holds control characters.
        hash.update(name);
        hash.update("\u{1f}");
        hash.update(value);
        hash.update("\u{1e}");
    }
    hex::encode(hash.finalize().iter().take(8).copied().collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::{RecordFilter, before, cursor};

    #[test]
    fn a_cursor_is_of_one_search() {
        let wanted = |kind: Option<&str>, actor: Option<&str>| RecordFilter {
            kind: kind.map(str::to_owned),
            actor: actor.map(str::to_owned),
            ..RecordFilter::default()
        };
        let denials = wanted(Some("denial"), None);
        let place = cursor(4711, &denials);
        assert_eq!(before(&place, &denials).unwrap(), 4711);
        for other in [wanted(None, None), wanted(None, Some("denial")), wanted(Some("denial"), Some("a"))] {
            assert!(before(&place, &other).is_err(), "{other:?}");
        }
        for wrong in ["", "x", "MQ", "!", &cursor(0, &denials), &format!("{place}A")] {
            assert!(before(wrong, &denials).is_err(), "{wrong}");
        }
    }
}
