//! Secrets at rest: what the gateway must be able to read again, sealed under a key that is not in
//! the database. (What it only has to recognise, such as tokens, it keeps as hashes instead.)
//!
//! [`Keyring`] seals and opens, and touches nothing else. [`Vault`] keeps sealed values in one table
//! of the database, so that [`rotate`] has one place to look.

mod kept;
mod key;
mod keyring;
mod rotate;

pub use kept::{Census, Opened, Survey, Vault, VaultError};
pub use key::{KeyId, WeakKey};
pub use keyring::{Keyring, KeyringError, OpenError, SealError};
pub use rotate::{Loss, Rotation, rotate};

#[cfg(test)]
mod tests;
