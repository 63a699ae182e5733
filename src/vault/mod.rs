//! Secrets at rest: what the gateway must be able to read again, sealed under a key that is not in
//! the database. (What it only has to recognise, such as tokens, it keeps as hashes instead.)
//!
//! [`Keyring`] seals and opens, and touches nothing else.

mod key;
mod keyring;

pub use key::{KeyId, WeakKey};
pub use keyring::{Keyring, KeyringError, OpenError, SealError};

#[cfg(test)]
mod tests;
