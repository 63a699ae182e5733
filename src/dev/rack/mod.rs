//! A development rack: a whole Convox rack API in memory, in this process.
//!
//! It answers as a real rack answers on the wire (convox `pkg/api`, `stdapi`, gorilla `mux` and
//! `websocket`), quirks included, because tests use it to show that the gateway is safe in front
//! of them: it routes on the percent-decoded path without cleaning it, reads a parameter from the
//! body before the query before the header, upgrades a socket before it authenticates, and leaves
//! TCP open after the end of a socket. It runs no program of the host and opens no connection.
//!
//! It also keeps what it received, byte for byte, so that a test can look ([`RackState::received`]).

mod apps;
mod auth;
mod budgets;
mod builds;
mod call;
mod certificates;
mod configs;
mod data;
mod diagnose;
mod entry;
mod exec;
mod files;
mod form;
mod frames;
mod ids;
mod instances;
mod logs;
mod manifest;
mod metrics;
mod objects;
mod options;
mod processes;
mod proxy;
mod rack_resources;
mod received;
mod registries;
mod releases;
mod reply;
mod resources;
mod seed;
mod server;
mod services;
mod shell;
mod sockets;
mod state;
mod system;
mod table;
mod tar;
mod terminal;
mod trips;
mod unpack;
mod wire;

pub use options::RackOptions;
pub use received::{Body, Frame, Received};
pub use server::{Rack, RackServer};
pub use state::RackState;
pub use trips::Trip;

/// The text frame that carries the exit code of a command is this, `:`, the code and a newline
/// (convox `pkg/api/helpers.go`).
pub const EXIT_SENTINEL: &str = "F1E49A85-0AD7-4AEF-A618-C249C6E6568D";
