//! What the enforcement point works with, shared by all requests.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use time::OffsetDateTime;

use super::Trace;
use crate::audit::{Anchors, Keeper, Writer};
use crate::clock::Clock;
use crate::config::{AppSettings, Catalog, DeploySettings, Site};
use crate::factor::{Desk, Factors};
use crate::identity::Callers;
use crate::pdp::Bundle;
use crate::store::{Store, StoreError};
use crate::vault::Vault;

/// The bundle that decides now. A swap is atomic; a request keeps the bundle that it began with.
#[derive(Clone)]
pub struct Active(Arc<ArcSwap<Bundle>>);

impl fmt::Debug for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Active").field(&self.load().digest()).finish()
    }
}

impl Active {
    /// Starts with this bundle.
    #[must_use]
    pub fn new(bundle: Bundle) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(bundle)))
    }

    /// The bundle that decides now.
    #[must_use]
    pub fn load(&self) -> Arc<Bundle> {
        self.0.load_full()
    }

    /// From here on, this bundle decides.
    pub fn swap(&self, bundle: Bundle) {
        self.0.store(Arc::new(bundle));
    }
}

/// Whether the last load of a bundle went well.
#[derive(Clone, Debug, Default)]
pub struct BundleStatus(Arc<Mutex<Option<String>>>);

impl BundleStatus {
    /// What was wrong with the last bundle that was offered, if anything.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, problem: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

/// The latest moment that a request was seen at. A clock that is set back behind it makes what was
/// proved long ago look young, so until it has caught up nothing that was proved counts.
#[derive(Clone, Debug, Default)]
pub struct Latest(Arc<AtomicI64>);

impl Latest {
    /// Clocks are adjusted by little at a time: so many seconds are no step back.
    const SLACK_S: i64 = 2;

    /// Notes the time; whether it is not behind what was seen.
    pub(super) fn holds(&self, now: OffsetDateTime) -> bool {
        let now = now.unix_timestamp();
        let latest = self.0.fetch_max(now, Ordering::Relaxed);
        let behind = latest.saturating_sub(now);
        if behind > Self::SLACK_S {
            tracing::error!(seconds = behind, "the clock went back: no second factor counts until it has caught up");
        }
        behind <= Self::SLACK_S
    }
}

/// Everything a decision needs: the policies, the credentials, the record, the time.
#[derive(Clone, Debug)]
pub struct Gate {
    /// The policies.
    pub active: Active,
    /// Users and tokens.
    pub store: Store,
    /// Secrets at rest.
    pub vault: Vault,
    /// Those of them that this process has met.
    pub callers: Callers,
    /// The record.
    pub audit: Writer,
    /// What keeps tree and index up with the record.
    pub keeper: Keeper,
    /// How well the record is anchored.
    pub anchors: Anchors,
    /// Second factors.
    pub factors: Factors,
    /// The time.
    pub clock: Clock,
    /// The latest that it was.
    pub latest: Latest,
    /// `organization/name` of the rack: the id of the `Rack` entity.
    pub rack: Arc<str>,
    /// The public face of the gateway.
    pub site: Arc<Site>,
    /// What of the settings is pinned.
    pub catalog: Arc<Catalog>,
}

impl Gate {
    /// How an app is set now.
    ///
    /// # Errors
    /// When the settings cannot be read, or when one in the database is none that the API would take: then
    /// nobody knows what is meant.
    pub async fn app_settings(&self, app: &str) -> Result<AppSettings, StoreError> {
        let everywhere = self.store.setting_get("secret_env_vars").await?;
        let rows = self.store.app_setting_list(app).await?;
        let stored = |name: &str| rows.iter().find(|row| row.name == name).map(|row| &row.value);
        self.catalog.app_settings(app, stored, everywhere.as_ref().map(|row| &row.value)).map_err(unreadable)
    }

    /// How deploy approvals are set now.
    ///
    /// # Errors
    /// As [`Gate::app_settings`].
    pub async fn deploy_settings(&self) -> Result<DeploySettings, StoreError> {
        let rows = self.store.setting_list().await?;
        let stored = |name: &str| rows.iter().find(|row| row.name == name).map(|row| &row.value);
        self.catalog.deploy_settings(stored).map_err(unreadable)
    }

    /// Whether apps may be deleted now. A setting that cannot be read allows nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn allows_destruction(&self) -> Result<bool, StoreError> {
        let found = match self.store.setting_get("allow_destructive_actions").await {
            Ok(row) => self.catalog.allows_destruction(row.as_ref().map(|row| &row.value)).map_err(unreadable),
            Err(error) => Err(error),
        };
        match found {
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(%error, "apps are not deleted: the setting allow_destructive_actions is unreadable");
                Ok(false)
            }
            found => found,
        }
    }

    /// What verifies a second factor for this request.
    #[must_use]
    pub fn desk<'a>(&'a self, trace: &'a Trace) -> Desk<'a> {
        Desk {
            store: &self.store,
            vault: &self.vault,
            audit: &self.audit,
            now: trace.at,
            request_id: &trace.request_id,
            source_ip: Some(trace.source_ip),
        }
    }
}

fn unreadable(problem: String) -> StoreError {
    StoreError::Corrupt(format!("a setting: {problem}"))
}
