//! Finding records, the newest among them.

use std::time::Duration;

use super::Keeper;
use crate::store::{Record, RecordFilter, StoreError};

/// How long a search waits for the index. It is up with the log but for moments, unless the database has just
/// been migrated.
const WAIT: Duration = Duration::from_secs(4);

/// The newest records that match, before record `before`, newest first; at most `limit`, and never more than
/// 1,000. All that was durable when this was called is looked through.
///
/// # Errors
/// [`StoreError::Invalid`] for a text without words or with too many; [`StoreError::Unavailable`], also while
/// the index is still being built.
pub async fn search(
    keeper: &Keeper,
    filter: &RecordFilter,
    before: Option<u64>,
    limit: u64,
) -> Result<Vec<Record>, StoreError> {
    let store = keeper.store();
    if filter.needs_words() {
        let end = store.head().await?.map_or(0, |(_, head)| head.seq);
        let upto = before.map_or(end, |before| end.min(before.saturating_sub(1)));
        let upto = filter.last.map_or(upto, |last| upto.min(last));
        current(keeper, upto).await?;
    }
    store.records_search(filter, before, limit).await
}

async fn current(keeper: &Keeper, upto: u64) -> Result<(), StoreError> {
    if keeper.store().indexed().await? >= upto {
        return Ok(());
    }
    let catching_up = keeper.clone();
    // On the store's runtime: the caller's may have no timer.
    let task = keeper.store().runtime().spawn(async move {
        let work = catching_up.index(upto);
        tokio::time::timeout(WAIT, work).await
    });
    match task.await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => {
            let done = keeper.store().indexed().await?;
            Err(StoreError::unavailable(format!("the search index is at record {done} of {upto}: try again later")))
        }
        Err(_) => Err(StoreError::unavailable("the gateway is shutting down")),
    }
}
