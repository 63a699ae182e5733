//! From settings to a gateway that serves: database, policies, chain, recovery, listeners. The one
//! composition of production, development and tests.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use thiserror::Error;
use uuid::Uuid;

use crate::audit::{Event, EventKind, Unavailable, Writer, recover};
use crate::clock::Clock;
use crate::config::RackSettings;
use crate::pep::{Active, Gate};
use crate::store::{Store, StoreError};
use crate::upstream::{RackConfig, RackConfigError};

use super::reload::{BundleStatus, PolicySource, watch};
use super::server::{Server, ServerError, ServerParts};

/// What a gateway is made of.
pub struct Launch {
    /// The database, with the schema of this version.
    pub store: Store,
    /// Where policies come from.
    pub policy: PolicySource,
    /// The rack.
    pub rack: RackSettings,
    /// The public listener.
    pub listen: SocketAddr,
    /// The listener of metrics, and what renders them.
    pub metrics: Option<(SocketAddr, PrometheusHandle)>,
    /// Threads that serve.
    pub workers: usize,
    /// The time.
    pub clock: Clock,
    /// Where people sign in, for messages.
    pub domain: Option<String>,
    /// Where records go as JSON lines, besides the database.
    pub sink: Option<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch").field("listen", &self.listen).finish_non_exhaustive()
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
    /// The policies cannot be used.
    #[error("the policies cannot be used\n{0}")]
    Policy(String),
    /// The settings of the rack cannot be used.
    #[error(transparent)]
    Rack(#[from] RackConfigError),
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
    instance: String,
    server: Server,
    watcher: tokio::task::JoinHandle<()>,
}

impl Launch {
    /// Starts everything, in the order in which each needs the one before.
    ///
    /// # Errors
    /// At the first thing that is not as it must be; then nothing serves.
    pub async fn start(self) -> Result<Running, LaunchError> {
        let pending = self.store.migration_status().await?.pending;
        if pending > 0 {
            return Err(LaunchError::Pending(pending));
        }
        let rack_config = RackConfig::new(&self.rack)?;
        let bundle = self.policy.load().map_err(LaunchError::Policy)?;
        let digest = bundle.digest().to_owned();
        let instance = Uuid::now_v7().to_string();
        self.store.instance_start(&instance, self.clock.now()).await?;
        let audit = Writer::start(self.store.clone(), self.clock.clone(), &instance, self.sink);
        let started = Event::new(EventKind::System)
            .message("started")
            .bundle(&digest)
            .detail("version", env!("CARGO_PKG_VERSION"));
        audit.append(started).await?;
        let interrupted = recover(&self.store, &audit, &instance).await?;
        if interrupted > 0 {
            tracing::warn!(interrupted, "requests of an earlier run have no outcome; they are marked as unknown");
        }
        let gate = Gate {
            active: Active::new(bundle),
            store: self.store,
            audit,
            clock: self.clock,
            rack: Arc::from(self.rack.full_name()),
            domain: Arc::from(self.domain.unwrap_or_else(|| self.listen.to_string())),
        };
        let status = BundleStatus::default();
        let server = Server::start(ServerParts {
            gate: gate.clone(),
            rack: self.rack,
            rack_config,
            bundle: status.clone(),
            listen: self.listen,
            metrics: self.metrics,
            workers: self.workers,
        })?;
        let watcher = tokio::spawn(watch_policies(gate.clone(), self.policy.clone(), status.clone()));
        Ok(Running {
            addr: server.addr,
            metrics_addr: server.metrics_addr,
            gate,
            policy: self.policy,
            bundle: status,
            instance,
            server,
            watcher,
        })
    }
}

async fn watch_policies(gate: Gate, source: PolicySource, status: BundleStatus) {
    if let Err(problem) = watch(gate, source, status).await {
        tracing::error!(problem, "policies are not watched; a restart is needed to change them");
    }
}

impl Running {
    /// Stops accepting, lets requests finish, writes the last record, and flushes the chain.
    pub async fn stop(self) {
        self.watcher.abort();
        self.server.stop().await;
        if let Err(error) = self.gate.audit.append(Event::new(EventKind::System).message("stopped")).await {
            tracing::error!(%error, "the last record could not be written");
        }
        self.gate.audit.shutdown().await;
        if let Err(error) = self.gate.store.instance_end(&self.instance, self.gate.clock.now()).await {
            tracing::warn!(%error, "the end of this run could not be noted; the next start will recover it");
        }
        self.gate.store.close().await;
    }
}
