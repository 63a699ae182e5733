//! The server: assembly, the proxied path, the console protocol, health and metrics.

mod anchoring;
mod answer;
mod browser;
mod chores;
mod first;
mod headers;
mod health;
mod launch;
mod own;
mod proxy;
mod reload;
mod server;
mod sockets;
mod step_up;
mod vault;
mod visit;
mod waiting;

pub use launch::{Launch, LaunchError, Running, origin};
pub use reload::{PolicySource, reload_once, watch};
pub use server::{Server, ServerError, ServerParts, bind};
