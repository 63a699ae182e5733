//! What is secret and what is protected among the variables of one app.

use super::Gate;
use super::errand::{ErrandError, Look};
use crate::mask::{ENV_MASK, Rules};

/// That it cannot be known: the settings cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown;

/// Most names that the app's own mask may have; the CLI writes no more (convox `env mask set`).
const NAMES: usize = 500;

/// The rules of an app: those that always hold, its settings, and the list that hides variables in the CLI. When
/// that list cannot be read, everything is secret.
///
/// # Errors
/// [`Unknown`].
pub(super) async fn rules(gate: &Gate, look: &Look, app: &str) -> Result<Rules, Unknown> {
    let settings = gate.app_settings(app).await.map_err(|error| {
        tracing::error!(%error, "the settings of an app cannot be read");
        Unknown
    })?;
    let of = |names: &[String]| Rules::new(&settings.secret_env_vars, &settings.protected_env_vars, names);
    Ok(match look.config(app, ENV_MASK).await {
        Ok(config) => match config.get("value").and_then(serde_json::Value::as_str).map(names) {
            Some(names) if names.len() <= NAMES => of(&names),
            _ => of(&[]).with_all_secret(),
        },
        Err(ErrandError::Missing) => of(&[]),
        Err(error) => {
            tracing::warn!(%error, "an app's list of masked variables cannot be read: all are masked");
            of(&[]).with_all_secret()
        }
    })
}

/// Names with commas between them.
pub(super) fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}
