//! How long sessions and tokens last, who may come, and who needs a second factor.

use std::time::Duration;

use serde_json::Value;

use crate::config::{AnchorLimits, Catalog, SETTINGS, Setting};
use crate::store::{Store, StoreError};

/// Who becomes a person that the gateway knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserCreation {
    /// Only whom an administrator has added.
    Invited,
    /// Also whoever is in a group of the identity provider that gives a role.
    Groups,
    /// Also whoever the identity provider lets in, with the default roles.
    Domain,
}

/// The settings that sign-in reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A browser's session ends after so long without use.
    pub web_idle: Duration,
    /// And after so long in any case.
    pub web_max: Duration,
    /// A CLI's session ends after so long without use.
    pub cli_idle: Duration,
    /// And after so long in any case.
    pub cli_max: Duration,
    /// The longest life of an API token.
    pub api_token_max: Duration,
    /// The longest time for which an API token's old secret goes on working.
    pub overlap_max: Duration,
    /// The life of a CI run's token.
    pub workload_max: Duration,
    /// Who becomes a person that the gateway knows.
    pub user_creation: UserCreation,
    /// What such a person holds.
    pub default_roles: Vec<String>,
    /// Whether a person without a second factor must enrol one before anything else.
    pub mfa_required: bool,
    /// For how long a browser may be trusted at sign-in; zero for never.
    pub device_max: Duration,
}

/// Those of anchors, deploys and apps are none of sign-in's business.
fn is_rule(setting: &Setting) -> bool {
    let others = ["allow_destructive_actions", "secret_env_vars"];
    !AnchorLimits::NAMES.contains(&setting.name)
        && !others.contains(&setting.name)
        && !setting.name.starts_with("deploy_")
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Rules {
    /// The rules as they are set now.
    ///
    /// # Errors
    /// When the settings cannot be read, or when one in the database is none that the API would take:
    /// then nobody knows what is meant.
    pub async fn load(store: &Store, catalog: &Catalog) -> Result<Self, StoreError> {
        let rows = store.setting_list().await?;
        let stored = |name: &str| rows.iter().find(|row| row.name == name).map(|row| &row.value);
        Self::of(|setting| stored(setting), catalog)
    }

    fn of<'a>(stored: impl Fn(&str) -> Option<&'a Value>, catalog: &Catalog) -> Result<Self, StoreError> {
        let mut rules = Self::nothing();
        for setting in SETTINGS.iter().filter(|setting| is_rule(setting)) {
            let (value, _) = catalog.value(setting, stored(setting.name));
            setting.check(&value).map_err(|problem| StoreError::Corrupt(format!("a setting: {problem}")))?;
            rules.set(setting.name, &value);
        }
        Ok(rules)
    }

    fn nothing() -> Self {
        Self {
            web_idle: Duration::ZERO,
            web_max: Duration::ZERO,
            cli_idle: Duration::ZERO,
            cli_max: Duration::ZERO,
            api_token_max: Duration::ZERO,
            overlap_max: Duration::ZERO,
            workload_max: Duration::ZERO,
            user_creation: UserCreation::Invited,
            default_roles: Vec::new(),
            mfa_required: true,
            device_max: Duration::ZERO,
        }
    }

    fn set(&mut self, name: &str, value: &Value) {
        let number = value.as_u64().unwrap_or_default();
        let of = |unit: u64| Duration::from_secs(number.saturating_mul(unit));
        match name {
            "session_timeout_minutes" => self.web_idle = of(MINUTE),
            "session_max_hours" => self.web_max = of(HOUR),
            "cli_session_idle_days" => self.cli_idle = of(DAY),
            "cli_session_max_days" => self.cli_max = of(DAY),
            "api_token_max_days" => self.api_token_max = of(DAY),
            "token_overlap_max_hours" => self.overlap_max = of(HOUR),
            "workload_token_minutes" => self.workload_max = of(MINUTE),
            "mfa_trusted_device_days" => self.device_max = of(DAY),
            // Whatever is not plainly false demands it.
            "mfa_require_all_users" => self.mfa_required = value.as_bool() != Some(false),
            "user_creation" => {
                self.user_creation = match value.as_str() {
                    Some("groups") => UserCreation::Groups,
                    Some("domain") => UserCreation::Domain,
                    Some(_) | None => UserCreation::Invited,
                }
            }
            "default_roles" => {
                let roles = value.as_array().into_iter().flatten().filter_map(Value::as_str);
                self.default_roles = roles.map(str::to_owned).collect();
            }
            _ => {}
        }
    }
}

impl Default for Rules {
    /// The rules of a gateway of which nobody has set anything.
    fn default() -> Self {
        Self::of(|_| None, &Catalog::unpinned()).unwrap_or_else(|_| Self::nothing())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_setting_is_a_rule() {
        let plain = Rules::default();
        for setting in SETTINGS.iter().filter(|setting| is_rule(setting)) {
            let value = match setting.name {
                "user_creation" => json!("groups"),
                "default_roles" => json!(["viewer"]),
                "mfa_require_all_users" => json!(false),
                _ => json!(20),
            };
            let changed = Rules::of(|name| (name == setting.name).then_some(&value), &Catalog::unpinned());
            assert_ne!(changed.as_ref(), Ok(&plain), "{} changes nothing", setting.name);
        }
        assert_eq!(plain.web_idle, Duration::from_secs(1800));
        assert_eq!(plain.workload_max, Duration::from_secs(900));
        assert_eq!(plain.device_max, Duration::from_secs(30 * 24 * 3600));
        assert!(plain.mfa_required);
    }

    #[test]
    fn a_value_that_the_api_would_refuse_is_no_rule() {
        for value in [json!(0), json!("5"), json!(null), json!(99999)] {
            let rules = Rules::of(|name| (name == "session_timeout_minutes").then_some(&value), &Catalog::unpinned());
            assert!(rules.is_err(), "{value}");
        }
    }
}
