//! The end of requests that nobody decided on, and of grants that nobody used. Facts for policy go by the time
//! itself: this only writes down what is so already.

use time::{Duration, OffsetDateTime};

use crate::audit::{Event, EventKind, Unavailable, Writer};
use crate::store::{ApprovalRow, Store, StoreError};

/// Requests of one round.
const BATCH: u64 = 200;
/// A promote that was under way when its grant ended may still be told of.
const SLACK: Duration = Duration::minutes(5);

/// Why the end was not written down.
#[derive(Debug, thiserror::Error)]
pub enum ExpiryError {
    /// No record, no change.
    #[error(transparent)]
    Unrecorded(#[from] Unavailable),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes down that the time of this request is over, on the record first; whether it was.
///
/// # Errors
/// [`ExpiryError`].
pub async fn expire(
    store: &Store,
    audit: &Writer,
    row: &ApprovalRow,
    now: OffsetDateTime,
) -> Result<bool, ExpiryError> {
    let event = Event {
        resource: Some(format!("DeployApproval::{}/{}", row.app, row.id)),
        detail: [("commit".to_owned(), row.commit.clone()), ("state".to_owned(), row.state.as_str().to_owned())].into(),
        ..Event::new(EventKind::System, "", "deploy-approval:expire")
    };
    audit.append(event).await?;
    Ok(store.approval_expire(&row.id, now).await?)
}

/// Does so for all whose time has been over for a while; how many those were.
///
/// # Errors
/// [`ExpiryError`]; those before stay expired.
pub async fn sweep(store: &Store, audit: &Writer, now: OffsetDateTime) -> Result<usize, ExpiryError> {
    let mut count = 0;
    for row in store.approvals_past(now - SLACK, BATCH).await? {
        if expire(store, audit, &row, now).await? {
            count += 1;
        }
    }
    Ok(count)
}
