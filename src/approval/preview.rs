//! What a deploy changes beside the code: a build copies the environment of the newest release, which need
//! not be the one that runs.

use std::collections::BTreeSet;

use crate::mask::{Environment, EnvironmentError};

/// The names of the variables in which the environments of two releases differ.
///
/// # Errors
/// When the rack could not read one of them either.
pub fn differing(running: &str, newest: &str) -> Result<Vec<String>, EnvironmentError> {
    let changes = Environment::parse(running)?.diff(&Environment::parse(newest)?);
    let names: BTreeSet<String> = changes.set.into_iter().chain(changes.unset).collect();
    Ok(names.into_iter().collect())
}
