//! Rack Gateway: a policy-enforcing, provably audited gateway in front of one Convox rack.
//!
//! `ARCHITECTURE.md` at the root of the repository is the map; the modules below are its rooms,
//! in the order in which a request meets them.

pub mod api;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
pub mod http;
pub mod identity;
pub mod pdp;
pub mod pep;
pub mod routes;
pub mod store;
pub mod telemetry;
pub mod upstream;
