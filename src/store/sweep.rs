//! Deletes what is over.

use sea_orm::ConnectionTrait as _;
use time::{Duration, OffsetDateTime};

use super::value::second;
use super::{Store, StoreError};

/// Rows of one statement, so that none holds up the others for long.
const BATCH: u64 = 500;
/// How long a dead credential can be looked up.
const KEPT: Duration = Duration::days(30);
/// How long a challenge that is over can be looked up: somebody may still look at its page.
const CHALLENGE_KEPT: Duration = Duration::hours(1);
/// How long a notice stays.
const NOTICE_KEPT: Duration = Duration::days(180);
/// How long a notice for others that was sent, or skipped, can be looked up; and one that was given up.
const SENT_KEPT: Duration = Duration::days(30);
const DEAD_KEPT: Duration = Duration::days(90);
const SENT: Dead = Dead::new("outbox", "id", "state IN ('sent', 'skipped') AND ended_at");
const DEAD: Dead = Dead::new("outbox", "id", "state = 'dead' AND ended_at");

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
    /// Enrolments of factors that nobody confirmed.
    pub factors: u64,
    /// Devices that are not trusted any more.
    pub devices: u64,
    /// Challenges that have been over for an hour.
    pub challenges: u64,
    /// Notices of more than 180 days ago.
    pub notices: u64,
    /// Notices for others that were sent or skipped 30 days ago, or given up 90 days ago.
    pub outbox: u64,
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
    /// Deletes, in batches, what is over: sign-ins, counters, CI tokens, enrolments and trusted devices at their
    /// end, challenges an hour later, credentials 30 days after their end or revocation, notices after 180
    /// days, those for others 30 days after they were sent or skipped and 90 after they were given up. Backup
    /// codes stay, used or not, until they are replaced. May run on several replicas at once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was deleted until then stays deleted.
    pub async fn sweep(&self, now: OffsetDateTime) -> Result<Swept, StoreError> {
        let past = now - KEPT;
        let expired = self.delete(&Dead::new("credentials", "id", "expires_at"), past).await?;
        let revoked = self.delete(&Dead::new("credentials", "id", "revoked_at"), past).await?;
        let sent = self.delete(&SENT, now - SENT_KEPT).await?;
        let dead = self.delete(&DEAD, now - DEAD_KEPT).await?;
        Ok(Swept {
            logins: self.delete(&Dead::new("logins", "id", "expires_at"), now).await?,
            cli_logins: self.delete(&Dead::new("cli_logins", "id", "expires_at"), now).await?,
            rate_limits: self.delete(&Dead::new("rate_limits", "key", "resets_at"), now).await?,
            workload_tokens: self.delete(&Dead::new("workload_jtis", "issuer, token_id", "expires_at"), now).await?,
            credentials: expired + revoked,
            factors: self.delete(&Dead::new("factors", "id", "expires_at"), now).await?,
            devices: self.devices_sweep(now).await?,
            challenges: self.delete(&Dead::new("challenges", "id", "expires_at"), now - CHALLENGE_KEPT).await?,
            outbox: sent + dead,
            notices: self.delete(&Dead::new("notices", "id", "created_at"), now - NOTICE_KEPT).await?,
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
