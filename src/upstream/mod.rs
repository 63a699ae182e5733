//! The rack: HTTP, sockets, TLS.
//!
//! The only room that may name awc and rustls, and the only way to the rack: [`forward`],
//! [`open_socket`] and [`wait_socket`] consume a permit. [`Rack`] has no other method that sends a request of a client;
//! what the gateway itself looks up there are the reads of [`Errand`](crate::pep::Errand).

mod body;
mod client;
mod config;
mod dial;
mod errand;
mod follow;
mod forward;
mod frames;
mod headers;
mod io;
mod kill;
mod ping;
mod relay;
mod socket;
mod tally;
mod tls;
mod trouble;
mod typed;
mod wait;

pub use client::Rack;
pub use config::{Limits, RackConfig, RackConfigError};
pub use forward::forward;
pub use kill::{Kill, KillSignal, KillSwitch, kill_switch};
pub use ping::{PingError, ping};
pub use socket::{deny_socket, open_socket};
pub use tls::{Roots, SpkiHash, TlsError, Trust};
pub use wait::wait_socket;

#[cfg(test)]
mod tests;
