//! Rack Gateway: a policy-enforcing, provably audited gateway in front of one Convox rack.
//!
//! `ARCHITECTURE.md` at the root of the repository is the map; the modules below are its rooms,
//! in the order in which a request meets them. `client` is the other end: the program of people and
//! CI, which shares with the server the clock and `proof`: what anybody can check about the audit log.

#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod approval;
#[cfg(feature = "server")]
pub mod audit;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "cli")]
pub mod client;
pub mod clock;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
#[cfg(feature = "server")]
pub mod factor;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod identity;
#[cfg(feature = "server")]
pub mod mask;
#[cfg(feature = "server")]
pub mod pages;
#[cfg(feature = "server")]
pub mod pdp;
#[cfg(feature = "server")]
pub mod pep;
#[cfg(any(feature = "server", feature = "cli"))]
pub mod proof;
#[cfg(feature = "server")]
pub mod routes;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod telemetry;
#[cfg(feature = "server")]
pub mod upstream;
#[cfg(feature = "server")]
pub mod vault;
