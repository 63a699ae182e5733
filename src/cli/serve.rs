//! `serve`: guard the rack until told to stop.

use std::process::ExitCode;

use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};

use super::runtime::block_on;
use super::{Done, Failure};
use crate::clock::Clock;
use crate::config::{Config, Env, Process};
use crate::http::{Launch, PolicySource, Running};
use crate::store::{Backend, Options, Store};
use crate::telemetry;
use crate::upstream::Limits;

pub(super) fn serve() -> Done {
    telemetry::init_logs(&Process.get("RGW_LOG").unwrap_or_else(|| "info".to_owned()), true);
    let config = Config::from_env(&Process).map_err(|errors| Failure::new(errors.to_string()))?;
    let metrics = telemetry::init_metrics()?;
    block_on(async move {
        let store = Store::connect(config.database_url.expose_secret(), Options::default()).await?;
        // The embedded database belongs to this process alone; nobody else would migrate it.
        if store.backend() == Backend::Sqlite {
            store.migrate(None).await?;
        }
        let launch = Launch {
            store,
            policy: PolicySource { dir: config.policy_dir, rack: config.rack.full_name() },
            rack: config.rack,
            limits: Limits::default(),
            listen: config.listen,
            metrics: Some((config.metrics_listen, metrics)),
            workers: workers(),
            clock: Clock::system(),
            domain: config.domain,
            sink: Some(Box::new(std::io::stdout())),
        };
        until_told(launch.start().await?).await
    })
}

/// One thread that serves per processor.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Serves until SIGTERM or SIGINT, then drains.
pub(super) async fn until_told(running: Running) -> Done {
    let metrics = running.metrics_addr.map(|addr| addr.to_string());
    tracing::info!(address = %running.addr, metrics, "serving");
    told().await?;
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn told() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
