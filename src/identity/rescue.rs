//! Help for people who cannot get in any more, from whoever runs the gateway.

use crate::store::UserRow;

use super::{IssueError, Issuer};

/// What was taken from a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactorReset {
    /// Factors, enrolments under way included.
    pub factors: u64,
    /// Sessions.
    pub sessions: u64,
}

impl Issuer<'_> {
    /// Lets a person in again; whether they were locked.
    ///
    /// # Errors
    /// When it cannot be recorded or kept.
    pub async fn unlock(&self, user: &UserRow) -> Result<bool, IssueError> {
        if !user.is_locked() {
            return Ok(false);
        }
        self.record("user:unlock", &[("user", &user.id), ("email", &user.email)]).await?;
        Ok(self.store().user_unlock(&user.id, &self.actor.id, self.now).await?)
    }

    /// Takes all factors from a person, ends all their sessions and tells them so. Sessions go first: none
    /// that lives can enrol anything in between, and one that begins in between is left having shown nothing.
    ///
    /// # Errors
    /// When it cannot be recorded or kept. Doing it again is safe.
    pub async fn reset_factors(&self, user: &UserRow) -> Result<FactorReset, IssueError> {
        self.record("factor:reset", &[("user", &user.id), ("email", &user.email)]).await?;
        let store = self.store();
        let sessions = store.credentials_revoke_of_user(&user.id, None, "factors reset", self.now).await?;
        let factors = store.factors_reset(&user.id, &self.actor.id, self.now).await?;
        let text = "whoever runs the gateway took away all your second factors and ended your sessions";
        store.notice_add(&user.id, "factors-reset", text, self.now).await?;
        Ok(FactorReset { factors, sessions })
    }
}
