//! `serve`: guard the rack until told to stop.

use std::process::ExitCode;

use clap::Args;
use secrecy::ExposeSecret;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::runtime::block_on;
use super::{Done, Failure};
use crate::clock::Clock;
use crate::config::{Config, Env, Process};
use crate::http::{Launch, PolicySource, Running, bind};
use crate::store::{Backend, Options, Store};
use crate::telemetry;
use crate::upstream::Limits;

#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// Delete the stored secrets that neither key opens, once: the old APP_SECRET_KEY is lost.
    #[arg(long)]
    accept_loss: bool,
}

pub(super) fn serve(arguments: &ServeArguments) -> Done {
    telemetry::init_logs(&Process.get("RGW_LOG").unwrap_or_else(|| "info".to_owned()), true);
    let config = Config::from_env(&Process).map_err(|errors| Failure::new(errors.to_string()))?;
    let metrics = telemetry::init_metrics()?;
    block_on(async move {
        let signals = Signals::new()?;
        let store = Store::connect(config.database_url.expose_secret(), Options::default()).await?;
        // The embedded database belongs to this process alone; nobody else would migrate it.
        if store.backend() == Backend::Sqlite {
            store.migrate(None).await?;
        }
        let launch = Launch {
            store,
            policy: PolicySource { dir: config.policy_dir, rack: config.rack.full_name() },
            keyring: config.keyring,
            accept_loss: arguments.accept_loss,
            rack: config.rack,
            sign_in: config.sign_in,
            workloads: config.workloads,
            yubico: config.yubico,
            webhook: config.webhook,
            catalog: config.catalog,
            anchors: config.anchors,
            admins: config.admins,
            limits: Limits::default(),
            listener: bind(config.listen)?,
            metrics: Some((config.metrics_listen, metrics)),
            workers: workers(),
            clock: Clock::system(),
            site: config.site,
            sink: Some(Box::new(std::io::stdout())),
        };
        until_told(launch.start().await?, signals).await
    })
}

/// One thread that serves per processor.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Serves until SIGTERM or SIGINT, then drains.
pub(super) async fn until_told(running: Running, signals: Signals) -> Done {
    let metrics = running.metrics_addr.map(|addr| addr.to_string());
    tracing::info!(address = %running.addr, metrics, "serving");
    signals.told().await;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM and SIGINT, received from the moment this is made: a signal that comes before anybody
/// waits for it is not lost, and does not kill.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them.
    pub(super) async fn told(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
