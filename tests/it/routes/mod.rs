//! The route table against the rack's own list, the CLI's traffic, and hostile requests.

mod cli;
pub mod hostile;
mod oracle;
mod properties;
mod total;
