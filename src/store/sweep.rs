//! Deletes what is over.

use sea_orm::ConnectionTrait as _;
use time::{Duration, OffsetDateTime};

use super::value::second;
use super::{Store, StoreError};

/// Rows of one statement, so that none holds up the others for long.
const BATCH: u64 = 500;
/// How long a dead credential can be looked up.
const KEPT: Duration = Duration::days(30);

/// How many rows were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sign-ins of browsers.
    pub logins: u64,
    /// Sign-ins of command-line clients.
    pub cli_logins: u64,
    /// Counters whose window is over.
    pub rate_limits: u64,
    /// CI tokens that are refused anyway.
    pub workload_tokens: u64,
    /// Credentials that have been dead for 30 days.
    pub credentials: u64,
}

/// Rows of `table` by key, dead since their `end`.
struct Dead {
    table: &'static str,
    key: &'static str,
    end: &'static str,
}

impl Dead {
    const fn new(table: &'static str, key: &'static str, end: &'static str) -> Self {
        Self { table, key, end }
    }

    fn statement(&self) -> String {
        let Self { table, key, end } = self;
        format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {end} <= $1 LIMIT {BATCH})")
    }
}

impl Store {
    /// Deletes, in batches, what is over: sign-ins, counters and CI tokens at their end, credentials
    /// 30 days after their end or revocation. May run on several replicas at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was deleted until then stays deleted.
    pub async fn sweep(&self, now: OffsetDateTime) -> Result<Swept, StoreError> {
        let past = now - KEPT;
        let expired = self.delete(&Dead::new("credentials", "id", "expires_at"), past).await?;
        let revoked = self.delete(&Dead::new("credentials", "id", "revoked_at"), past).await?;
        Ok(Swept {
            logins: self.delete(&Dead::new("logins", "id", "expires_at"), now).await?,
            cli_logins: self.delete(&Dead::new("cli_logins", "id", "expires_at"), now).await?,
            rate_limits: self.delete(&Dead::new("rate_limits", "key", "resets_at"), now).await?,
            workload_tokens: self.delete(&Dead::new("workload_jtis", "issuer, token_id", "expires_at"), now).await?,
            credentials: expired + revoked,
        })
    }

    async fn delete(&self, dead: &Dead, before: OffsetDateTime) -> Result<u64, StoreError> {
        let sql = dead.statement();
        let mut deleted = 0;
        loop {
            let statement = self.statement(&sql, vec![second(before).into()]);
            let db = self.inner.write.clone();
            let batch = self.run(async move { Ok(db.execute_raw(statement).await?.rows_affected()) }).await?;
            deleted += batch;
            if batch < BATCH {
                return Ok(deleted);
            }
        }
    }
}
