//! Secrets at rest: the keyring, the vault on both databases, and its commands.

mod commands;
mod kept;
mod keyring;
mod rotate;

use rack_gateway::vault::Keyring;
use secrecy::SecretString;

/// Keys of operators, each as good as another.
const KEYS: [&str; 3] =
    ["made-up-key-Hd9vRx3Cm7Jp1Gu5oQ8A", "made-up-key-Wn4cPz6Bf0Ky2Se8iTjM", "made-up-key-Lq7mXt1Va5Go9Dh3rUwE"];

fn ring(current: &str, previous: Option<&str>) -> Keyring {
    Keyring::new(&SecretString::from(current), previous.map(SecretString::from).as_ref()).unwrap()
}
