//! Callers that this process has met. What is known of one holds as long as the identity epoch does
//! not change; the epoch is read with every record, so that a revocation made on any replica is
//! noticed with the next request, without asking the database for the credential again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use time::OffsetDateTime;

use secrecy::ExposeSecret;

use super::identify::{IdentifyError, Identity, identify_hash};
use super::{Presented, Token};
use crate::store::Store;

/// Most callers that are remembered.
const CAPACITY: u64 = 10_000;
/// How long a caller is remembered who does not come back.
const IDLE: Duration = Duration::from_secs(600);

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

/// The callers that are remembered, by the hash of their credential.
#[derive(Clone)]
pub struct Callers(Cache<[u8; 32], (Arc<Identity>, u64)>);

impl Default for Callers {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_idle(IDLE).build())
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callers").field("count", &self.0.entry_count()).finish()
    }
}

impl Callers {
    /// Who presented this: from memory where possible. The caller must compare the epoch before
    /// anything follows from it.
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
        match self.0.get(&token.hash().0) {
            Some((identity, epoch)) if identity.is_live(now) => Ok(Known { identity, epoch, remembered: true }),
            Some(_) => Err(IdentifyError::Expired),
            None => self.read(store, &token, now).await,
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
        self.read(store, &token, now).await
    }

    async fn read(&self, store: &Store, token: &Token, now: OffsetDateTime) -> Result<Known, IdentifyError> {
        let hash = token.hash();
        // The epoch first: a change between the two reads then shows as another epoch.
        let epoch = store.identity_epoch().await.map_err(IdentifyError::Unavailable)?;
        match identify_hash(store, hash, now).await {
            Ok(identity) => {
                let identity = Arc::new(identity);
                self.0.insert(hash.0, (Arc::clone(&identity), epoch));
                Ok(Known { identity, epoch, remembered: false })
            }
            Err(error) => {
                self.0.invalidate(&hash.0);
                Err(error)
            }
        }
    }
}
