//! Which settings the environment pins, and which value of a setting holds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::app_settings::is_app_name;
use super::global::{APPROVALS, DESTRUCTION, PENDING, SECRETS, WINDOW};
use super::limits::in_order;
use super::{
    APP_SETTINGS, AnchorLimits, AppSettings, ConfigErrors, DeploySettings, Env, SETTINGS, Setting, SettingOrigin,
};

impl Setting {
    /// The setting of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// The setting of apps of that name.
    #[must_use]
    pub fn find_of_app(name: &str) -> Option<&'static Self> {
        APP_SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// The variable that pins it for an app.
    #[must_use]
    pub fn variable_of_app(&self, app: &str) -> String {
        format!("RGW_APP_{}_SETTING_{}", label_of(app).to_uppercase(), self.name.to_uppercase())
    }
}

/// What the environment pins: the API cannot change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    pins: BTreeMap<&'static str, Value>,
    /// By app and name; the app as [`label_of`] writes it.
    app_pins: BTreeMap<(String, &'static str), Value>,
}

impl Catalog {
    /// Nothing is pinned.
    #[must_use]
    pub const fn unpinned() -> Self {
        Self { pins: BTreeMap::new(), app_pins: BTreeMap::new() }
    }

    /// With one more pin.
    #[must_use]
    pub fn pin(mut self, name: &'static str, value: Value) -> Self {
        self.pins.insert(name, value);
        self
    }

    /// With one more pin for one app.
    #[must_use]
    pub fn pin_app(mut self, app: &str, name: &'static str, value: Value) -> Self {
        self.app_pins.insert((label_of(app), name), value);
        self
    }

    /// Reads `RGW_SETTING_<NAME>` of each setting, and `RGW_APP_<APP>_SETTING_<NAME>` of each setting of apps.
    ///
    /// # Errors
    /// Every value that is out of bounds.
    pub fn from_env(env: &dyn Env) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let catalog = Self::read(env, &mut problems);
        if problems.is_empty() { Ok(catalog) } else { Err(ConfigErrors(problems)) }
    }

    pub(super) fn read(env: &dyn Env, problems: &mut Vec<String>) -> Self {
        let mut pins = BTreeMap::new();
        for setting in SETTINGS {
            let Some(text) = env.get(setting.variable) else { continue };
            match setting.parse(&text) {
                Ok(value) => {
                    pins.insert(setting.name, value);
                }
                Err(problem) => problems.push(format!("{}: {problem}", setting.variable)),
            }
        }
        let catalog = Self { pins, app_pins: read_app_pins(env, problems) };
        // Whatever is not pinned may be anything, and keeps its place in the order when it is set.
        if let Err(problem) = in_order(|name| catalog.pinned(name).and_then(Value::as_u64)) {
            problems.push(format!("RGW_SETTING_…: {problem}"));
        }
        catalog
    }

    /// The limits of anchors, if `stored` is what the database has.
    ///
    /// # Errors
    /// When one is none that the API would take, or when they are not in order.
    pub fn anchor_limits<'a>(&self, stored: impl Fn(&str) -> Option<&'a Value>) -> Result<AnchorLimits, String> {
        AnchorLimits::of(|name| self.good(name, stored(name)).map(|value| value.as_u64().unwrap_or_default()))
    }

    /// The settings of deploy approvals, if `stored` is what the database has.
    ///
    /// # Errors
    /// When one is none that the API would take.
    pub fn deploy_settings<'a>(&self, stored: impl Fn(&str) -> Option<&'a Value>) -> Result<DeploySettings, String> {
        let number = |name| self.good(name, stored(name)).map(|value| value.as_u64().unwrap_or_default());
        Ok(DeploySettings {
            // Whatever is not plainly true turns them off.
            enabled: self.good(APPROVALS, stored(APPROVALS))? == json!(true),
            window: Duration::from_mins(number(WINDOW)?),
            pending: Duration::from_hours(number(PENDING)?),
        })
    }

    /// Whether apps may be deleted, if `stored` is what the database has.
    ///
    /// # Errors
    /// When that is nothing that the API would take.
    pub fn allows_destruction(&self, stored: Option<&Value>) -> Result<bool, String> {
        self.good(DESTRUCTION, stored).map(|value| value == json!(true))
    }

    /// The settings of an app, if `stored` is what the database has of it, and `secrets` what it has of the
    /// variables that are secret everywhere.
    ///
    /// # Errors
    /// When one is none that the API would take.
    pub fn app_settings<'a>(
        &self,
        app: &str,
        stored: impl Fn(&str) -> Option<&'a Value>,
        secrets: Option<&Value>,
    ) -> Result<AppSettings, String> {
        let mut settings = AppSettings::default();
        for setting in APP_SETTINGS {
            let (value, _) = self.app_value(app, setting, stored(setting.name));
            setting.check(&value)?;
            settings.set(setting.name, value);
        }
        settings.add_secrets(self.good(SECRETS, secrets)?);
        Ok(settings)
    }

    /// The value of a setting, as long as it is one that the API would take.
    fn good(&self, name: &str, stored: Option<&Value>) -> Result<Value, String> {
        let setting = Setting::find(name).ok_or_else(|| format!("there is no setting {name}"))?;
        let (value, _) = self.value(setting, stored);
        setting.check(&value).map(|()| value)
    }

    /// The value that is pinned.
    #[must_use]
    pub fn pinned(&self, name: &str) -> Option<&Value> {
        self.pins.get(name)
    }

    /// All that is pinned, by name.
    pub fn pins(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.pins.iter().map(|(name, value)| (*name, value))
    }

    /// The value that is pinned for an app.
    #[must_use]
    pub fn app_pinned(&self, app: &str, name: &'static str) -> Option<&Value> {
        // No app that can exist has another name; none is taken for one that looks like it.
        if is_app_name(app) { self.app_pins.get(&(label_of(app), name)) } else { None }
    }

    /// The value that holds for an app, if `stored` is what the database has of it.
    #[must_use]
    pub fn app_value(&self, app: &str, setting: &Setting, stored: Option<&Value>) -> (Value, SettingOrigin) {
        choose(self.app_pinned(app, setting.name), setting, stored)
    }

    /// The value that holds, if `stored` is what the database has.
    #[must_use]
    pub fn value(&self, setting: &Setting, stored: Option<&Value>) -> (Value, SettingOrigin) {
        choose(self.pinned(setting.name), setting, stored)
    }
}

fn choose(pinned: Option<&Value>, setting: &Setting, stored: Option<&Value>) -> (Value, SettingOrigin) {
    match (pinned, stored) {
        (Some(value), _) => (value.clone(), SettingOrigin::Environment),
        (None, Some(value)) => (value.clone(), SettingOrigin::Database),
        (None, None) => (setting.default(), SettingOrigin::Default),
    }
}

/// An app's name as it is in a variable, in lower case. No two names of apps look alike there.
fn label_of(app: &str) -> String {
    app.replace('-', "_")
}

/// The app and the setting that a variable names, if it has the form of one of apps.
fn app_variable(variable: &str) -> Option<(String, String)> {
    let lower = variable.to_ascii_lowercase();
    let (app, name) = lower.strip_prefix("rgw_app_")?.rsplit_once("_setting_")?;
    (lower.to_ascii_uppercase() == variable).then(|| (app.to_owned(), name.to_owned()))
}

fn read_app_pins(env: &dyn Env, problems: &mut Vec<String>) -> BTreeMap<(String, &'static str), Value> {
    let mut pins = BTreeMap::new();
    for variable in env.names() {
        let Some((app, name)) = app_variable(&variable) else { continue };
        let Some(text) = env.get(&variable) else { continue };
        match Setting::find_of_app(&name) {
            None => problems.push(format!("{variable}: apps have no setting {name}")),
            Some(_) if !is_app_name(&app.replace('_', "-")) => {
                problems.push(format!("{variable}: {app} is no name of an app"));
            }
            Some(setting) => match setting.parse(&text) {
                Ok(value) => {
                    pins.insert((app, setting.name), value);
                }
                Err(problem) => problems.push(format!("{variable}: {problem}")),
            },
        }
    }
    pins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_order_and_the_defaults_are_good() {
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
        for setting in SETTINGS {
            assert_eq!(setting.check(&setting.default()), Ok(()), "{}", setting.name);
            assert_eq!(setting.variable, format!("RGW_SETTING_{}", setting.name.to_uppercase()));
        }
    }

    #[test]
    fn the_environment_pins_within_bounds() {
        let cases: &[(&str, &str, Option<Value>)] = &[
            ("session_timeout_minutes", "5", Some(json!(5))),
            ("session_timeout_minutes", "4", None),
            ("session_timeout_minutes", "1441", None),
            ("session_timeout_minutes", "-1", None),
            ("session_timeout_minutes", "5.5", None),
            ("mfa_require_all_users", "false", Some(json!(false))),
            ("mfa_require_all_users", "no", None),
            ("mfa_require_all_users", "0", None),
            ("mfa_trusted_device_days", "0", Some(json!(0))),
            ("mfa_trusted_device_days", "91", None),
            ("audit_refuse_minutes", "0", Some(json!(0))),
            ("audit_amber_minutes", "0", None),
            ("user_creation", "domain", Some(json!("domain"))),
            ("user_creation", "everybody", None),
            ("default_roles", "viewer, ops,", Some(json!(["viewer", "ops"]))),
            ("allow_destructive_actions", "true", Some(json!(true))),
            ("allow_destructive_actions", "yes", None),
            ("deploy_approval_window_minutes", "0", None),
            ("deploy_approval_pending_hours", "720", Some(json!(720))),
            ("secret_env_vars", "PIN, *_CODE", Some(json!(["PIN", "*_CODE"]))),
            ("secret_env_vars", "[]", Some(json!([]))),
            ("secret_env_vars", "[1]", None),
            ("secret_env_vars", "A B", None),
        ];
        for (name, text, expected) in cases {
            let setting = Setting::find(name).unwrap();
            let env = BTreeMap::from([(setting.variable.to_owned(), (*text).to_owned())]);
            let mut problems = Vec::new();
            let catalog = Catalog::read(&env, &mut problems);
            assert_eq!(catalog.pinned(name), expected.as_ref(), "{name}={text}");
            assert_eq!(problems.is_empty(), expected.is_some(), "{name}={text}: {problems:?}");
        }
    }

    #[test]
    fn the_limits_of_anchors_are_in_order() {
        let pinned = |pins: &[(&str, &str)]| {
            let name = |name: &str| format!("RGW_SETTING_AUDIT_{name}_MINUTES");
            Catalog::from_env(&pins.iter().map(|(of, text)| (name(of), (*text).to_owned())).collect::<BTreeMap<_, _>>())
        };
        let problem = pinned(&[("AMBER", "20"), ("RED", "20")]).unwrap_err().to_string();
        assert!(problem.contains("audit_amber_minutes (20) must be less than audit_red_minutes (20)"), "{problem}");
        let problem = pinned(&[("AMBER", "30"), ("REFUSE", "10")]).unwrap_err().to_string();
        assert!(problem.contains("audit_amber_minutes (30) must be less than audit_refuse_minutes (10)"), "{problem}");
        let never = pinned(&[("RED", "30"), ("REFUSE", "0")]).unwrap();
        assert_eq!(never.anchor_limits(|_| None).unwrap().refuse, None);
        let alone = pinned(&[("AMBER", "20")]).unwrap();
        assert!(alone.anchor_limits(|_| None).unwrap_err().contains("audit_red_minutes (15)"));
        let stored = json!(30);
        let limits = alone.anchor_limits(|name| (name == "audit_red_minutes").then_some(&stored)).unwrap();
        assert_eq!((limits.amber.as_secs(), limits.red.as_secs()), (1200, 1800));
        assert_eq!(Catalog::unpinned().anchor_limits(|_| None), Ok(AnchorLimits::default()));
        assert!(Catalog::unpinned().anchor_limits(|_| Some(&Value::Null)).is_err());
    }

    #[test]
    fn a_pin_wins_over_the_database() {
        let setting = Setting::find("user_creation").unwrap();
        let stored = json!("domain");
        let pinned = Catalog::unpinned().pin("user_creation", json!("groups"));
        assert_eq!(pinned.value(setting, Some(&stored)), (json!("groups"), SettingOrigin::Environment));
        let free = Catalog::unpinned();
        assert_eq!(free.value(setting, Some(&stored)), (stored, SettingOrigin::Database));
        assert_eq!(free.value(setting, None), (json!("invited"), SettingOrigin::Default));
    }

    #[test]
    fn variables_pin_settings_of_apps() {
        type Pinned = Result<(&'static str, Value), &'static str>;
        let cases: &[(&str, &str, Pinned)] = &[
            ("RGW_APP_SHOP_SETTING_SECRET_ENV_VARS", "A,B", Ok(("shop", json!(["A", "B"])))),
            ("RGW_APP_MY_SHOP_2_SETTING_SECRET_ENV_VARS", "A", Ok(("my-shop-2", json!(["A"])))),
            ("RGW_APP_A_SETTING_B_SETTING_SECRET_ENV_VARS", "A", Ok(("a-setting-b", json!(["A"])))),
            ("RGW_APP_SHOP_SETTING_DEPLOY_COMMANDS", r#"["a, b"]"#, Ok(("shop", json!(["a, b"])))),
            ("RGW_APP_SHOP_SETTING_DEPLOY_COMMANDS", "a, b", Err("deploy_commands must be a list")),
            ("RGW_APP_SHOP_SETTING_SERVICE_IMAGE_PATTERNS", r#"{"web":"a"}"#, Ok(("shop", json!({ "web": "a" })))),
            ("RGW_APP_SHOP_SETTING_SERVICE_IMAGE_PATTERNS", r#"{"web":"("}"#, Err("does not compile")),
            ("RGW_APP_SHOP_SETTING_SECRETS", "A", Err("apps have no setting secrets")),
            ("RGW_APP__SETTING_SECRET_ENV_VARS", "A", Err("is no name of an app")),
            ("RGW_APP_SHOP__SETTING_SECRET_ENV_VARS", "A", Err("is no name of an app")),
        ];
        for (variable, text, expected) in cases {
            let env = BTreeMap::from([((*variable).to_owned(), (*text).to_owned())]);
            match (Catalog::from_env(&env), expected) {
                (Ok(catalog), Ok((app, value))) => {
                    let setting = APP_SETTINGS.iter().find(|one| one.variable_of_app(app) == *variable).unwrap();
                    assert_eq!(catalog.app_pinned(app, setting.name), Some(value), "{variable}");
                    assert_eq!(catalog.app_pinned(&app.replace('-', "_"), setting.name).is_some(), !app.contains('-'));
                    assert_eq!(catalog.app_pinned(&app.to_uppercase(), setting.name), None);
                }
                (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{variable}: {error}"),
                (found, _) => panic!("{variable}: {found:?}"),
            }
        }
        // Nothing of ours.
        for other in ["RGW_APP_SERVICE_HOST", "rgw_app_shop_setting_secret_env_vars", "RGW_APP_SHOP_SETTING"] {
            let env = BTreeMap::from([(other.to_owned(), "A".to_owned())]);
            assert_eq!(Catalog::from_env(&env), Ok(Catalog::unpinned()), "{other}");
        }
    }

    #[test]
    fn every_setting_of_deploys_and_apps_is_read() {
        let free = Catalog::unpinned();
        let defaults = free.deploy_settings(|_| None).unwrap();
        assert_eq!(defaults, DeploySettings::default());
        for (name, value) in [(APPROVALS, json!(false)), (WINDOW, json!(16)), (PENDING, json!(25))] {
            let changed = free.deploy_settings(|asked| (asked == name).then_some(&value));
            assert_ne!(changed.as_ref(), Ok(&defaults), "{name} changes nothing");
        }
        let plain = free.app_settings("shop", |_| None, None).unwrap();
        assert_eq!(plain, AppSettings::default());
        for setting in APP_SETTINGS {
            let value = if setting.default().is_array() { json!(["A"]) } else { json!({ "*": "a" }) };
            let changed = free.app_settings("shop", |asked| (asked == setting.name).then_some(&value), None);
            assert_ne!(changed.as_ref(), Ok(&plain), "{} changes nothing", setting.name);
            let bad = json!("A");
            assert!(free.app_settings("shop", |asked| (asked == setting.name).then_some(&bad), None).is_err());
        }
        let secrets = json!(["B", "A"]);
        let everywhere = free.app_settings("shop", |_| None, Some(&secrets)).unwrap();
        assert_eq!(everywhere.secret_env_vars, ["A", "B"]);
        assert!(free.app_settings("shop", |_| None, Some(&json!("A"))).is_err());
        assert_eq!(free.allows_destruction(None), Ok(false));
        assert_eq!(free.allows_destruction(Some(&json!(true))), Ok(true));
        assert!(free.allows_destruction(Some(&json!("true"))).is_err());
        let pinned = Catalog::unpinned().pin(DESTRUCTION, json!(false));
        assert_eq!(pinned.allows_destruction(Some(&json!(true))), Ok(false));
    }

    #[test]
    fn settings_of_apps_are_in_order_and_their_defaults_are_good() {
        assert!(APP_SETTINGS.is_sorted_by_key(|setting| setting.name));
        for setting in APP_SETTINGS {
            assert_eq!(setting.check(&setting.default()), Ok(()), "{}", setting.name);
        }
    }
}
