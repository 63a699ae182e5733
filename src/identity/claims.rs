//! What is known of a run in CI: claims of the identity token that it traded in, already verified.

use serde::{Deserialize, Serialize};

use crate::store::{CredentialRow, StoreError};

/// Verified claims about a run in CI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Issuer of the identity token.
    pub issuer: String,
    /// Its subject.
    pub subject: String,
    /// Repository, as the platform names it.
    pub repository: String,
    /// Full git reference.
    pub git_ref: String,
    /// Whether the platform protects that reference.
    pub ref_protected: bool,
    /// Commit.
    pub sha: String,
    /// Deployment environment, empty when there is none.
    pub environment: String,
    /// Id of the run.
    pub run: String,
}

impl Workload {
    /// The text in which it is kept with its credential.
    ///
    /// # Errors
    /// Never in practice: words and flags always have a JSON form.
    pub fn to_text(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|_| unreadable())
    }

    /// What is kept with a credential, if anything is.
    pub(super) fn of(row: &CredentialRow) -> Result<Option<Self>, StoreError> {
        row.workload.as_deref().map(|text| serde_json::from_str(text).map_err(|_| unreadable())).transpose()
    }
}

fn unreadable() -> StoreError {
    StoreError::Corrupt("the claims of a workload cannot be read".to_owned())
}
