//! What the tests stand on: databases, a gateway in process, the real binary, people with tokens, a
//! browser.

pub mod authenticator;
pub mod binary;
pub mod browser;
pub mod cut;
pub mod db;
pub mod emulator;
pub mod gateway;
pub mod policies;
pub mod postgres;
pub mod provider;
pub mod proxy;
pub mod signer;

pub use db::Db;
pub use gateway::{Gateway, RACK_PASSWORD, SECRET_KEY, basic, issuer, parse_record};

use std::future::Future;
use std::time::Duration;

/// Nothing that a test waits for takes this long.
const HANG: Duration = Duration::from_secs(60);

/// Looks again and again until something is there.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let found = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(HANG, found).await.unwrap_or_else(|_| panic!("{what}: it does not happen"))
}
