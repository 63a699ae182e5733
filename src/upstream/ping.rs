//! Whether the rack answers at all, for readiness.

use std::time::Duration;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap};
use tokio::time::timeout;

use super::client::{Rack, Request};
use super::trouble::Trouble;

/// A rack that takes longer is not ready.
const PING_MAX: Duration = Duration::from_secs(3);

/// Why the rack does not count as reachable.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// No answer in time.
    #[error("the rack did not answer within {} s", PING_MAX.as_secs())]
    Timeout,
    /// It answered that it is not well.
    #[error("the rack answered its health check with status {0}")]
    Status(u16),
    /// No connection, or no answer on it.
    #[error("the rack cannot be reached: {0}")]
    Unreachable(String),
}

/// Asks the rack's health check, `GET /check`, without a credential. Any status below 500 counts:
/// somebody who speaks HTTP, with the right certificate, is there. Asks every time.
///
/// # Errors
///
/// A [`PingError`] that says what was seen, for operators only.
pub async fn ping(rack: &Rack) -> Result<(), PingError> {
    let told = |trouble: Trouble| PingError::Unreachable(trouble.told().detail);
    let uri = rack.uri("/check").map_err(told)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, rack.config().authority.clone());
    let request = Request { method: &Method::GET, uri: &uri, headers: &headers };
    match timeout(PING_MAX, rack.exchange_again(&request)).await {
        Err(_elapsed) => Err(PingError::Timeout),
        Ok(Err(trouble)) => Err(told(trouble)),
        Ok(Ok(answer)) if answer.status().is_server_error() => Err(PingError::Status(answer.status().as_u16())),
        Ok(Ok(_)) => Ok(()),
    }
}
