//! How often somebody may be wrong. Counted in the database, so that more replicas mean no more
//! tries, and by person: a thief of a session has many addresses.

use std::time::Duration;

use time::OffsetDateTime;

use super::log;
use super::{Desk, FactorError};
use crate::store::RateState;

/// Wrong answers that lock the person.
pub(super) const WRONG: u64 = 5;
/// Within so long.
const WINDOW: Duration = Duration::from_secs(300);
/// Steps of enrolments that one person may take.
const ENROLMENTS: u64 = 60;
const ENROLMENT_WINDOW: Duration = Duration::from_secs(600);

/// A try that is being made. It is counted before anything is checked, so that no crowd of them is
/// larger than [`WRONG`]; only a right answer takes it back.
pub(super) struct Attempt {
    key: String,
    resets_at: OffsetDateTime,
}

impl Attempt {
    /// Begins one. The person must be there and not locked.
    pub(super) async fn begin(desk: &Desk<'_>, user_id: &str) -> Result<Self, FactorError> {
        unlocked(desk, user_id).await?;
        let key = format!("mfa-tried:{user_id}");
        let state = desk.store.rate_hit(&key, WINDOW, desk.now).await?;
        within(state, WRONG, desk.now)?;
        Ok(Self { key, resets_at: state.resets_at })
    }

    /// It was right, or nobody could tell: it does not count.
    pub(super) async fn forget(self, desk: &Desk<'_>) -> Result<(), FactorError> {
        Ok(desk.store.rate_release(&self.key, self.resets_at).await?)
    }

    /// It was wrong. The fifth locks the person, even when that cannot be recorded, and says so.
    pub(super) async fn wrong(self, desk: &Desk<'_>, user_id: &str) -> Result<(), FactorError> {
        let state = desk.store.rate_hit(&format!("mfa-failed:{user_id}"), WINDOW, desk.now).await?;
        if state.count < WRONG {
            return Ok(());
        }
        let recorded = log::locked(desk, user_id).await;
        desk.store.user_lock(user_id, log::LOCKED, "gateway", desk.now).await?;
        log::tell(desk, user_id, "account-locked", log::LOCKED).await;
        recorded.and(Err(FactorError::Locked))
    }
}

/// Counts a step of an enrolment: each costs a row or a question to somebody else's service.
pub(super) async fn enrolling(desk: &Desk<'_>, user_id: &str) -> Result<(), FactorError> {
    unlocked(desk, user_id).await?;
    let state = desk.store.rate_hit(&format!("mfa-enrol:{user_id}"), ENROLMENT_WINDOW, desk.now).await?;
    within(state, ENROLMENTS, desk.now)
}

async fn unlocked(desk: &Desk<'_>, user_id: &str) -> Result<(), FactorError> {
    let user = desk.store.user_find(user_id).await?.ok_or(FactorError::NotEnrolled)?;
    if user.is_locked() { Err(FactorError::Locked) } else { Ok(()) }
}

fn within(state: RateState, most: u64, now: OffsetDateTime) -> Result<(), FactorError> {
    if state.count <= most {
        return Ok(());
    }
    let seconds = u64::try_from((state.resets_at - now).whole_seconds()).unwrap_or_default();
    Err(FactorError::TooMany(seconds.max(1)))
}
