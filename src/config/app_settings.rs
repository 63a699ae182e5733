//! What administrators set for one app, and for deploys as a whole, as the code reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::setting::{Initial, Setting, SettingKind, is_label};

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

const COMMANDS: &str = "deploy_commands";
const PROTECTED: &str = "protected_env_vars";
const SECRETS: &str = "secret_env_vars";
const IMAGES: &str = "service_image_patterns";

const fn of_app(name: &'static str, kind: SettingKind, default: Initial, description: &'static str) -> Setting {
    Setting { name, variable: "", kind, default, description }
}

/// The settings of each app, by name.
pub static APP_SETTINGS: &[Setting] = &[
    of_app(
        COMMANDS,
        SettingKind::Commands,
        Initial::Nothing,
        "Commands that may be run under a deploy approval before the release is promoted, byte for byte",
    ),
    of_app(
        PROTECTED,
        SettingKind::Names { patterns: false },
        Initial::Nothing,
        "Variables that nobody changes through the gateway, and nobody sees",
    ),
    of_app(
        SECRETS,
        SettingKind::Names { patterns: true },
        Initial::Nothing,
        "Variables that are secret though their names do not say so; `*` stands for any characters",
    ),
    of_app(
        IMAGES,
        SettingKind::Images,
        Initial::NoEntries,
        "What the image of each service, or of all others (`*`), must match as a whole; {{GIT_COMMIT}} stands for the \
         approved commit",
    ),
];

/// Whether an app can have this name: apps are namespaces of the cluster.
#[must_use]
pub fn is_app_name(name: &str) -> bool {
    is_label(name)
}

impl AppSettings {
    /// Takes a value that was checked.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        match name {
            COMMANDS => self.deploy_commands = texts(value),
            PROTECTED => self.protected_env_vars = texts(value),
            SECRETS => self.secret_env_vars = texts(value),
            IMAGES => self.service_image_patterns = rules(value),
            _ => {}
        }
    }

    /// Adds what is secret in every app.
    pub(super) fn add_secrets(&mut self, value: Value) {
        self.secret_env_vars.extend(texts(value));
        self.secret_env_vars.sort_unstable();
        self.secret_env_vars.dedup();
    }
}

fn texts(value: Value) -> Vec<String> {
    serde_json::from_value(value).unwrap_or_default()
}

fn rules(value: Value) -> BTreeMap<String, String> {
    serde_json::from_value(value).unwrap_or_default()
}
