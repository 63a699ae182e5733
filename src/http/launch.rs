//! From settings to a gateway that serves: database, policies, chain, recovery, listeners. The one
//! composition of production, development and tests.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use thiserror::Error;
use uuid::Uuid;

use crate::api::Services;
use crate::audit::anchor::AnchorError;
use crate::audit::{Event, EventKind, Unavailable, Writer, WriterOptions};
use crate::clock::Clock;
use crate::config::{
    self, AnchorSettings, Catalog, RackSettings, SignInSettings, Site, WorkloadSettings, YubicoSettings,
};
use crate::factor::{FactorSetupError, Factors};
use crate::identity::{Callers, IssueError, Oidc, SetupError, Workloads};
use crate::pep::{Active, BundleStatus, Gate, Latest};
use crate::store::{Store, StoreError};
use crate::upstream::{Limits, RackConfig, RackConfigError, Trust};
use crate::vault::{Keyring, VaultError};

use super::anchoring::{AnchoringTasks, Checked};
use super::chores;
use super::first;
use super::reload::{PolicySource, watch};
use super::server::{Server, ServerError, ServerParts};
use super::vault;

/// What a gateway is made of.
pub struct Launch {
    /// The database, with the schema of this version.
    pub store: Store,
    /// Where policies come from.
    pub policy: PolicySource,
    /// What stored secrets are sealed under.
    pub keyring: Keyring,
    /// Whether stored secrets that it does not open are deleted. Otherwise nothing starts.
    pub accept_loss: bool,
    /// The rack.
    pub rack: RackSettings,
    /// Sign-in of people; none: tokens only.
    pub sign_in: Option<SignInSettings>,
    /// Sign-in of CI runs.
    pub workloads: WorkloadSettings,
    /// Yubico's service, where one-time passwords of YubiKeys are second factors.
    pub yubico: Option<YubicoSettings>,
    /// What of the settings that administrators change is pinned.
    pub catalog: Catalog,
    /// How the log is anchored outside the database; none: it is not.
    pub anchors: Option<AnchorSettings>,
    /// Who becomes the first administrators, while there is none.
    pub admins: Vec<String>,
    /// How long anything at the rack may take.
    pub limits: Limits,
    /// The public listener, bound.
    pub listener: TcpListener,
    /// The listener of metrics, and what renders them.
    pub metrics: Option<(SocketAddr, PrometheusHandle)>,
    /// Threads that serve.
    pub workers: usize,
    /// The time.
    pub clock: Clock,
    /// The public face of the gateway.
    pub site: Site,
    /// Where records go as JSON lines, besides the database.
    pub sink: Option<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Why the gateway does not start.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// The schema is older than this version.
    #[error("the database has {0} pending migrations: run `rack-gateway-api migrate`")]
    Pending(usize),
    /// The database does not answer, or another process serves from it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored secrets cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// An identity provider cannot be set up.
    #[error(transparent)]
    Provider(#[from] SetupError),
    /// Second factors cannot be set up.
    #[error(transparent)]
    Factors(#[from] FactorSetupError),
    /// The database does not hold what was anchored.
    #[error(transparent)]
    Anchors(#[from] AnchorError),
    /// The policies cannot be used.
    #[error("the policies cannot be used\n{0}")]
    Policy(String),
    /// The settings of the rack cannot be used.
    #[error(transparent)]
    Rack(#[from] RackConfigError),
    /// The first administrators cannot be added.
    #[error("the people of ADMIN_USERS cannot be added: {0}")]
    Admins(#[from] IssueError),
    /// The first record cannot be written.
    #[error("the audit log cannot be written: {0}")]
    Audit(#[from] Unavailable),
    /// The listeners.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// A gateway that serves.
#[derive(Debug)]
pub struct Running {
    /// The address of the public listener.
    pub addr: SocketAddr,
    /// The address of the listener of metrics.
    pub metrics_addr: Option<SocketAddr>,
    /// The enforcement point, for whoever runs the gateway in process.
    pub gate: Gate,
    /// Where its policies come from.
    pub policy: PolicySource,
    /// Whether the last bundle was good.
    pub bundle: BundleStatus,
    server: Server,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    anchoring: AnchoringTasks,
}

impl Launch {
    /// Starts everything, in the order in which each needs the one before.
    ///
    /// # Errors
    /// At the first thing that is not as it must be; then nothing serves.
    pub async fn start(self) -> Result<Running, LaunchError> {
        let pending = self.store.migration_status().await?.pending.len();
        if pending > 0 {
            return Err(LaunchError::Pending(pending));
        }
        let rack = &self.rack;
        let rack_config = RackConfig::new(&rack.url, &rack.username, &rack.token, &trust(&rack.trust), self.limits)?;
        let bundle = self.policy.load().map_err(LaunchError::Policy)?;
        let digest = bundle.digest().to_owned();
        let origin = origin(&self.rack.full_name());
        let checked = Checked::new(self.anchors, &self.store, origin.clone()).await?;
        let instance = Uuid::now_v7().to_string();
        let options = WriterOptions { sink: self.sink, ..WriterOptions::new(instance, origin) };
        let audit = Writer::start(self.store.clone(), self.clock.clone(), options).await?;
        let vault = vault::open(&self.store, self.keyring, self.accept_loss, &audit, &self.clock).await?;
        audit.append(started(digest)).await?;
        let catalog = Arc::new(self.catalog);
        let active = Active::new(bundle);
        let keeper = checked.keeper.clone();
        let anchoring = checked.equip(&self.clock, &audit, &active);
        let gate = Gate {
            active,
            store: self.store,
            vault,
            callers: Callers::new(Arc::clone(&catalog)),
            factors: Factors::new(&self.site, &self.rack.full_name(), self.yubico)?,
            latest: Latest::default(),
            audit,
            keeper,
            anchors: anchoring.anchors.clone(),
            clock: self.clock,
            rack: Arc::from(self.rack.full_name()),
            site: Arc::new(self.site),
            catalog: Arc::clone(&catalog),
        };
        let oidc = match self.sign_in {
            Some(settings) => Some(Arc::new(Oidc::new(settings, &gate.site.origin)?)),
            None => None,
        };
        // Known before the first request asks.
        gate.anchors.refresh(&gate.store, &catalog).await;
        first::administrators(&gate, &self.admins).await?;
        first::session_limits(&gate, &catalog).await?;
        let status = BundleStatus::default();
        let services = Services {
            gate: gate.clone(),
            rack: self.rack,
            oidc: oidc.clone(),
            workloads: Arc::new(Workloads::new(self.workloads)?),
            catalog: Arc::clone(&catalog),
            sealer: anchoring.sealer.clone(),
            bundle: status.clone(),
        };
        let server = Server::start(ServerParts {
            services,
            rack_config,
            bundle: status.clone(),
            listener: self.listener,
            metrics: self.metrics,
            workers: self.workers,
        })?;
        let mut tasks = chores::begin(&gate.store, &gate.audit, &gate.clock, oidc.as_ref());
        tasks.push(tokio::spawn(watch_policies(gate.clone(), self.policy.clone(), status.clone())));
        let anchoring = anchoring.begin(&gate, &catalog);
        Ok(Running {
            addr: server.addr,
            metrics_addr: server.metrics_addr,
            gate,
            policy: self.policy,
            bundle: status,
            server,
            tasks,
            anchoring,
        })
    }
}

/// Name of the log: one log per rack.
#[must_use]
pub fn origin(rack: &str) -> String {
    format!("rack-gateway/{rack}")
}

fn started(digest: String) -> Event {
    Event {
        bundle: Some(digest),
        detail: [("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
        ..Event::new(EventKind::System, "", "gateway:start")
    }
}

fn trust(trust: &config::Trust) -> Trust {
    match trust {
        config::Trust::System => Trust::system(),
        config::Trust::Ca(pem) => Trust::authority(pem.clone()),
        config::Trust::Pinned(pins) => Trust::pinned(pins.iter().map(|pin| pin.0).collect::<Vec<_>>()),
    }
}

async fn watch_policies(gate: Gate, source: PolicySource, status: BundleStatus) {
    if let Err(problem) = watch(gate, source, status).await {
        tracing::error!(problem, "policies are not watched; a restart is needed to change them");
    }
}

/// How long the last records may take.
const FLUSH: Duration = Duration::from_secs(10);

impl Running {
    /// Stops accepting, lets requests finish, writes the last record, flushes the chain, and anchors it.
    pub async fn stop(self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.server.stop().await;
        let last = self.gate.audit.append(Event::new(EventKind::System, "", "gateway:stop")).await;
        let flushed = self.gate.audit.shutdown(FLUSH).await;
        if last.is_err() || !flushed {
            tracing::error!("records were left behind; the next start marks their requests as unknown");
        }
        self.anchoring.stop().await;
        self.gate.store.close().await;
    }
}
