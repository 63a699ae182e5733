//! The asynchronous runtime of the commands, and the database and its log as the settings name them.

use std::future::Future;
use std::time::Duration;

use secrecy::ExposeSecret;
use uuid::Uuid;

use super::Failure;
use crate::audit::{Writer, WriterOptions};
use crate::clock::Clock;
use crate::config::{Config, Env, Process};
use crate::http::origin;
use crate::store::{Options, Store};

/// Runs a future on a runtime of several threads: the database lives on it.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(future);
    // Threads that still wait for a dead database must not hold up the exit.
    runtime.shutdown_background();
    result
}

/// Opens the database that the environment names.
pub(super) async fn open_store() -> Result<Store, Failure> {
    let url = Config::database_url(&Process).map_err(|errors| Failure::could_not_run(errors.to_string()))?;
    Ok(Store::connect(url.expose_secret(), Options::default()).await?)
}

/// How long the last records may take.
pub(super) const FLUSH: Duration = Duration::from_secs(10);

/// Opens the database that the environment names, and its log, for what must be on the record.
pub(super) async fn open_recorded() -> Result<(Store, Writer), Failure> {
    let store = open_store().await?;
    // The first record names the log, for good.
    let rack = match (Process.get("RACK"), store.head().await?) {
        (Some(rack), _) => rack,
        (None, Some(_)) => "unnamed".to_owned(),
        (None, None) => return Err(Failure::new("set RACK: this is the first record, and it names the log")),
    };
    let origin = origin(&rack);
    let options = WriterOptions::new(format!("operator-{}", Uuid::now_v7()), origin);
    let audit = Writer::guest(store.clone(), Clock::system(), options).await?;
    Ok((store, audit))
}
