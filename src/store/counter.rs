//! What is counted or remembered for a while: how often somebody tried, and which tokens were seen.

use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use time::OffsetDateTime;

use super::append::loaded;
use super::value::second;
use super::{Store, StoreError};

/// How often something was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateState {
    /// Times in this window, this one included.
    pub count: u64,
    /// When the next window may begin.
    pub resets_at: OffsetDateTime,
}

/// A window begins with the first try after the one before has ended.
const HIT: &str = "INSERT INTO rate_limits (key, resets_at, count) VALUES ($1, $2, 1) ON CONFLICT (key) DO UPDATE SET \
    count = CASE WHEN rate_limits.resets_at <= $3 THEN 1 ELSE rate_limits.count + 1 END, \
    resets_at = CASE WHEN rate_limits.resets_at <= $3 THEN excluded.resets_at ELSE rate_limits.resets_at END \
    RETURNING count, resets_at";
const RELEASE: &str = "UPDATE rate_limits SET count = count - 1 WHERE key = $1 AND resets_at = $2 AND count > 0";
const SEEN: &str =
    "INSERT INTO workload_jtis (issuer, token_id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

impl Store {
    /// Counts a try under `key`, on all replicas together. Windows are kept in whole seconds.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rate_hit(&self, key: &str, window: Duration, now: OffsetDateTime) -> Result<RateState, StoreError> {
        let now = second(now);
        let window = time::Duration::try_from(window).unwrap_or(time::Duration::MAX);
        let resets_at = second(now.saturating_add(window));
        let statement = self.statement(HIT, vec![key.into(), resets_at.into(), now.into()]);
        let db = self.inner.write.clone();
        self.run(async move {
            let row = db.query_one_raw(statement).await?.ok_or(StoreError::NotFound)?;
            Ok(RateState { count: loaded(row.try_get_by_index(0)?)?, resets_at: row.try_get_by_index(1)? })
        })
        .await
    }

    /// Takes a try back that does not count after all, unless the window in which it was counted
    /// (`resets_at` of its state) is over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn rate_release(&self, key: &str, resets_at: OffsetDateTime) -> Result<(), StoreError> {
        let statement = self.statement(RELEASE, vec![key.into(), second(resets_at).into()]);
        let db = self.inner.write.clone();
        self.run(async move {
            db.execute_raw(statement).await?;
            Ok(())
        })
        .await
    }

    /// Notes that a CI token was traded in; `true` the first time only. It must be remembered until
    /// `expires_at`, from when on the token is refused anyway.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn workload_token_seen(
        &self,
        issuer: &str,
        token_id: &str,
        expires_at: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let values = vec![issuer.into(), token_id.into(), second(expires_at).into()];
        let statement = self.statement(SEEN, values);
        let db = self.inner.write.clone();
        self.run(async move { Ok(db.execute_raw(statement).await?.rows_affected() > 0) }).await
    }
}
