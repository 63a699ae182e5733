//! Callers that this process has met. What is known of one holds as long as the identity epoch does
//! not change; the epoch is read with every record, so that a revocation made on any replica is
//! noticed with the next request, without asking the database for the credential again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use time::OffsetDateTime;

use secrecy::ExposeSecret;

use super::identify::{IdentifyError, Identity, identify_hash};
use super::{Presented, Rules, Token};
use crate::config::Catalog;
use crate::store::{Store, StoreError};

/// Most callers that are remembered.
const CAPACITY: u64 = 10_000;
/// How long a caller is remembered who does not come back.
const IDLE: Duration = Duration::from_secs(600);
/// The database is told of a use at most so often, where a tenth of the idle time is not longer still.
const TOLD: Duration = Duration::from_secs(30);

/// A caller, as of an identity epoch.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who it is.
    pub identity: Arc<Identity>,
    /// When that was true.
    pub epoch: u64,
    /// Whether it was remembered rather than read just now.
    pub remembered: bool,
}

/// What is remembered of a caller.
struct Met {
    identity: Arc<Identity>,
    epoch: u64,
    /// The last use that the database knows of or was told of from here, in seconds since 1970.
    used: AtomicI64,
}

impl Met {
    fn new(identity: Identity, epoch: u64) -> Self {
        let used = AtomicI64::new(identity.last_used_at.unix_timestamp());
        Self { identity: Arc::new(identity), epoch, used }
    }

    fn known(&self, remembered: bool) -> Known {
        Known { identity: Arc::clone(&self.identity), epoch: self.epoch, remembered }
    }

    /// Whether the credential looks as if it had ended for want of use.
    fn is_idle(&self, now: OffsetDateTime) -> bool {
        let used = OffsetDateTime::from_unix_timestamp(self.used.load(Ordering::Relaxed));
        used.is_ok_and(|used| self.identity.is_idle(used, now))
    }

    /// How much later than the last one a use must be for the database to be told; less than the idle
    /// time in any case.
    fn step(&self) -> i64 {
        let step = self.identity.idle.map_or(TOLD, |idle| TOLD.max(idle / 10).min(idle / 2));
        i64::try_from(step.as_secs()).unwrap_or(i64::MAX)
    }

    /// Tells the database of this use, unless it was told lately. Nobody waits for that.
    fn note(&self, store: &Store, now: OffsetDateTime) {
        let (used, at) = (self.used.load(Ordering::Relaxed), now.unix_timestamp());
        let is_due = at.saturating_sub(used) >= self.step().max(1);
        // Of several requests at once, one tells.
        if !is_due || self.used.compare_exchange(used, at, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let (store, id) = (store.clone(), self.identity.credential.id.clone());
        store.runtime().clone().spawn(async move {
            if let Err(error) = store.credential_touch(&id, now).await {
                tracing::debug!(%error, "the use of a credential was not noted");
            }
        });
    }
}

/// The callers that are remembered, by the hash of their credential.
#[derive(Clone)]
pub struct Callers {
    met: Cache<[u8; 32], Arc<Met>>,
    catalog: Arc<Catalog>,
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").field("count", &self.met.entry_count()).finish()
    }
}

impl Callers {
    /// Nobody is known yet. The catalog says what of the settings is pinned.
    #[must_use]
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { met: Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build(), catalog }
    }

    /// Who presented this: from memory where possible. The caller must compare the epoch before
    /// anything follows from it. Counts as a use of the credential.
    ///
    /// # Errors
    /// When it proves nobody, or when the database cannot be asked.
    pub async fn find(
        &self,
        store: &Store,
        presented: &Presented,
        now: OffsetDateTime,
    ) -> Result<Known, IdentifyError> {
        let token = Token::parse(presented.secret().expose_secret()).ok_or(IdentifyError::Unknown)?;
        match self.met.get(&token.hash().0) {
            Some(met) if met.identity.expires_at <= now => Err(IdentifyError::Expired),
            Some(met) if !met.is_idle(now) => {
                met.note(store, now);
                Ok(met.known(true))
            }
            // Another replica may have seen a caller that looks idle from here.
            Some(_) | None => self.read(store, presented, &token, now).await,
        }
    }

    /// Who presented this, according to the database.
    ///
    /// # Errors
    /// As [`Callers::find`].
    pub async fn refresh(
        &self,
        store: &Store,
        presented: &Presented,
        now: OffsetDateTime,
    ) -> Result<Known, IdentifyError> {
        let token = Token::parse(presented.secret().expose_secret()).ok_or(IdentifyError::Unknown)?;
        self.read(store, presented, &token, now).await
    }

    /// Whether everybody must have a second factor. A setting that cannot be read takes nothing away.
    async fn requires_factors(&self, store: &Store) -> Result<bool, IdentifyError> {
        match Rules::load(store, &self.catalog).await {
            Ok(rules) => Ok(rules.mfa_required),
            Err(StoreError::Corrupt(_)) => Ok(true),
            Err(error) => Err(IdentifyError::Unavailable(error)),
        }
    }

    async fn read(
        &self,
        store: &Store,
        presented: &Presented,
        token: &Token,
        now: OffsetDateTime,
    ) -> Result<Known, IdentifyError> {
        let hash = token.hash();
        // The epoch first: a change between the two reads then shows as another epoch.
        let epoch = store.identity_epoch().await.map_err(IdentifyError::Unavailable)?;
        let required = self.requires_factors(store).await?;
        match identify_hash(store, hash, required, now).await {
            Ok(identity) if !identity.fits(presented) => Err(IdentifyError::Unknown),
            Ok(identity) => {
                let met = Arc::new(Met::new(identity, epoch));
                met.note(store, now);
                self.met.insert(hash.0, Arc::clone(&met));
                Ok(met.known(false))
            }
            Err(error) => {
                self.met.invalidate(&hash.0);
                Err(error)
            }
        }
    }
}
