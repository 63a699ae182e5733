//! What administrators set for one app, and for deploys as a whole, as the code reads it.

use std::collections::BTreeMap;
use std::time::Duration;

/// The settings of one app. Lists hold what is set for all apps as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppSettings {
    /// Commands that may be run under a deploy approval, byte for byte. None are when it is empty.
    pub deploy_commands: Vec<String>,
    /// Variables that nobody changes through the gateway, and nobody sees.
    pub protected_env_vars: Vec<String>,
    /// Variables that are secret though their name does not say so; `*` stands for any characters.
    pub secret_env_vars: Vec<String>,
    /// Service, or `*` for all others → regular expression that its whole image must match; `{{GIT_COMMIT}}`
    /// stands for the commit that is built.
    pub service_image_patterns: BTreeMap<String, String>,
}

/// The settings of deploy approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeploySettings {
    /// Whether there are any. Where not, nothing that needs one is allowed.
    pub enabled: bool,
    /// How long a grant lasts, from the approval.
    pub window: Duration,
    /// How long a request waits for its approval.
    pub pending: Duration,
}

impl Default for DeploySettings {
    fn default() -> Self {
        Self { enabled: true, window: Duration::from_mins(15), pending: Duration::from_hours(24) }
    }
}
