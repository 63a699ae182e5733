//! Deploy approvals: a machine may deploy one commit of one app once somebody else has agreed.
//!
//! Here is what a request to deploy must say, who is behind it, what a refused deploy can be told, and how
//! requests end by themselves. Who may ask, approve and deploy is policy's business, and what may become of a
//! request the database's (`store::ApprovalRow`).

mod agreed;
mod ask;
pub mod bundle;
mod expiry;
mod hint;
mod parties;
mod preview;

pub use agreed::agreed;
pub use ask::{Ask, AskError, commit};
pub use expiry::{expire, sweep};
pub use hint::hint;
pub use parties::{Behind, PartyError, behind};
pub use preview::differing;

#[cfg(test)]
mod tests;
