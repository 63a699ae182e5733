//! The development rack answers as a real rack does: against recorded traffic of the `convox` CLI
//! with a real rack's API server, and against the quirks that the gateway is tested with.

mod client;
mod exec;
mod logs;
mod quirks;
mod recorded;
mod sockets;
mod stateful;
mod uploads;
