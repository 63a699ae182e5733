//! Secrets at rest: the keyring, the vault on both databases, and its commands.

mod keyring;
