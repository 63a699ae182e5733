//! Whose approval counts.

use crate::store::{ApprovalRow, Store, StoreError};

/// The people who agreed, each once: not those behind the request, and nobody who was locked or removed since.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn agreed(store: &Store, row: &ApprovalRow) -> Result<Vec<String>, StoreError> {
    let mut people = Vec::new();
    for vote in row.counted() {
        if store.user_find(&vote.user_id).await?.is_some_and(|user| !user.is_locked()) {
            people.push(vote.user_id.clone());
        }
    }
    Ok(people)
}
