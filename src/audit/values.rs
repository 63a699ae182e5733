//! Personal values that are still there, beside the records they belong to.

use std::collections::BTreeMap;

use crate::store::{Store, StoreError};

/// Values by name, by the number of their record.
pub type Values = BTreeMap<u64, BTreeMap<String, String>>;

/// What is still there of these records, whose numbers are in order, up or down.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub async fn values_of(store: &Store, seqs: &[u64]) -> Result<Values, StoreError> {
    let mut values = Values::new();
    for run in seqs.chunk_by(|one, next| one.abs_diff(*next) == 1) {
        let ends = run.first().copied().zip(run.last().copied());
        let Some((one, other)) = ends else { continue };
        for row in store.private_of(one.min(other), one.max(other)).await? {
            values.entry(row.seq).or_default().insert(row.name, row.value);
        }
    }
    Ok(values)
}
