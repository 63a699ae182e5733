//! The asynchronous runtime of the commands, and the database as the settings name it.

use std::future::Future;

use secrecy::ExposeSecret;

use super::Failure;
use crate::config::{Config, Process};
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
