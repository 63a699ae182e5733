//! What an export holds: settled once, so that it does not change while the log grows.

use serde_json::Value;

use super::ExportError;
use crate::store::{AnchorRow, Head, RecordFilter, Store, StoreError};

/// What is exported.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Name of the log; empty while there is none.
    pub(super) origin: String,
    /// Its end when the export began.
    pub(super) head: Head,
    /// The first record.
    pub(super) first: u64,
    /// The last one; smaller when there is none.
    pub(super) last: u64,
    /// The anchor that the range follows; none when it begins with record 1.
    pub(super) base: Option<AnchorRow>,
    /// The last anchor that comes along.
    pub(super) end: Option<AnchorRow>,
}

impl Plan {
    /// Exactly what is asked for.
    pub(super) async fn rows(store: &Store, filter: &RecordFilter) -> Result<Self, ExportError> {
        let (origin, head) = head(store).await?;
        let (first, last) = range(store, filter, head.seq).await?;
        Ok(Self { origin, head, first, last, base: None, end: None })
    }

    /// What is asked for, and as much around it as makes it verifiable: from the anchor before to the anchor after.
    pub(super) async fn bundle(store: &Store, filter: &RecordFilter) -> Result<Self, ExportError> {
        let mut plan = Self::rows(store, filter).await?;
        let is_empty = plan.last < plan.first;
        plan.base = store.anchor_at_or_before(plan.first - 1).await?.filter(|anchor| anchor.size > 0);
        plan.first = match &plan.base {
            Some(base) => base.size + 1,
            None if store.anchor_last().await?.is_some() => 1,
            None => plan.first,
        };
        if is_empty {
            plan.last = plan.first - 1;
        }
        let after = match plan.last < plan.head.seq && !is_empty {
            true => store.anchor_covering(plan.last).await?.filter(|anchor| anchor.size <= plan.head.seq),
            false => None,
        };
        plan.last = after.as_ref().map_or(plan.last, |anchor| anchor.size);
        plan.end = match after {
            Some(anchor) => Some(anchor),
            None => store.anchor_at_or_before(plan.last).await?,
        };
        Ok(plan)
    }
}

/// The end of the log.
pub(super) async fn head(store: &Store) -> Result<(String, Head), StoreError> {
    Ok(store.head().await?.unwrap_or_else(|| (String::new(), Head { seq: 0, chain: [0; 32] })))
}

/// The first and the last record that may be asked for.
async fn range(store: &Store, filter: &RecordFilter, head: u64) -> Result<(u64, u64), StoreError> {
    let (mut first, mut last) = (filter.first.unwrap_or(1), filter.last.unwrap_or(head).min(head));
    if filter.from.is_some() || filter.to.is_some() {
        let (from, to) = store.seq_range(filter.from.as_deref(), filter.to.as_deref()).await?;
        (first, last) = (first.max(from), last.min(to));
    }
    let first = first.clamp(1, head + 1);
    Ok((first, last.max(first - 1)))
}

fn parsed(canon: &[u8]) -> Value {
    serde_json::from_slice(canon).unwrap_or_default()
}

/// Records per read.
const PAGE: u64 = 256;

/// The newest record after `last` that says that values of `first` to `last` were erased. Reads what was added
/// after `last`, not the index, which may be behind.
pub(super) async fn erased_until(store: &Store, first: u64, last: u64) -> Result<Option<u64>, StoreError> {
    let concerns = |record: &Value| {
        let lists = record.get("erased").and_then(Value::as_object).into_iter().flat_map(|names| names.values());
        let mut numbers = lists.filter_map(Value::as_array).flatten().filter_map(Value::as_u64);
        numbers.any(|seq| (first..=last).contains(&seq))
    };
    let (mut after, mut found) = (last, None);
    loop {
        let page = store.records_after(after, PAGE).await?;
        let Some(end) = page.last().map(|record| record.seq) else { return Ok(found) };
        found = page.iter().rev().find(|record| concerns(&parsed(&record.canon))).map(|record| record.seq).or(found);
        after = end;
    }
}
