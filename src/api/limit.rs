//! How often anybody may try. Counted in the database, so that more replicas mean no more tries; by
//! account or session where one is known, since an address is what an attacker has many of and an
//! office has one of.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::identity::IdentifyError;
use crate::pep::Refusal;
use crate::store::{Store, StoreError};

use super::Problem;

/// So many tries in a window, under a name of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    name: &'static str,
    most: u64,
    window: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
const TEN: Duration = Duration::from_secs(600);

/// Sign-ins that begin, by address.
pub(super) const LOGIN: Limit = Limit { name: "login", most: 60, window: MINUTE };
/// Callbacks that fail, by address.
pub(super) const CALLBACK: Limit = Limit { name: "callback", most: 60, window: MINUTE };
/// Sign-ins of one person.
pub(super) const PERSON: Limit = Limit { name: "person", most: 30, window: TEN };
/// CLIs that ask for a code, by address.
pub(super) const CLI_START: Limit = Limit { name: "cli-start", most: 30, window: MINUTE };
/// Questions of one CLI whether it is confirmed.
pub(super) const CLI_POLL: Limit = Limit { name: "cli-poll", most: 120, window: MINUTE };
/// Codes that one person types.
pub(super) const CONFIRM: Limit = Limit { name: "confirm", most: 20, window: TEN };
/// Identity tokens of CI runs, by address.
pub(super) const EXCHANGE: Limit = Limit { name: "exchange", most: 120, window: MINUTE };
/// Identity tokens of one repository.
pub(super) const REPOSITORY: Limit = Limit { name: "repository", most: 60, window: MINUTE };

/// Proofs that a CLI shows for one challenge.
pub(super) const PROOF: Limit = Limit { name: "proof", most: 10, window: TEN };

/// Deploys that one principal asks for.
pub(super) const APPROVAL: Limit = Limit { name: "approval", most: 120, window: TEN };

impl Limit {
    /// Counts a try of `who`.
    ///
    /// # Errors
    /// When there were too many, or when they cannot be counted.
    pub(super) async fn check(self, store: &Store, who: &str, now: OffsetDateTime) -> Result<(), Refusal> {
        let unreadable = |error| Refusal::Credential(IdentifyError::Unavailable(error));
        self.hit(store, who, now).await.map_err(unreadable)?.map_or(Ok(()), |seconds| Err(Refusal::TooMany(seconds)))
    }

    /// The same behind a decision.
    ///
    /// # Errors
    /// As [`Limit::check`].
    pub(super) async fn spare(self, store: &Store, who: &str, now: OffsetDateTime) -> Result<(), Problem> {
        self.hit(store, who, now).await?.map_or(Ok(()), |seconds| Err(Problem::TooMany(seconds)))
    }

    /// Counts a try; seconds until the next may pass when there were too many.
    async fn hit(self, store: &Store, who: &str, now: OffsetDateTime) -> Result<Option<u64>, StoreError> {
        // Hashed: the table is no list of who was here.
        let digest = Sha256::new().chain_update(self.name).chain_update([0]).chain_update(who).finalize();
        let key = format!("{}:{}", self.name, hex::encode(&digest[..]));
        let state = store.rate_hit(&key, self.window, now).await?;
        let seconds = (state.resets_at - now).whole_seconds().max(1);
        Ok((state.count > self.most).then(|| u64::try_from(seconds).unwrap_or(1)))
    }
}
