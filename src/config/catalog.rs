//! The settings that administrators change while the gateway serves: what there is, within which
//! bounds, and which of them the environment pins.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::limits::{AMBER, RED, REFUSE, in_order};
use super::{AnchorLimits, ConfigErrors, Env};

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A whole number, both bounds included.
    Integer {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Names of roles, possibly none.
    Roles,
    /// `true` or `false`.
    Boolean,
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What pins it.
    pub variable: &'static str,
    /// What values it takes.
    pub kind: SettingKind,
    /// Its value where nobody says otherwise; of `Roles` none.
    default: Default,
    /// What it is for, with its unit.
    pub description: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Default {
    Number(u64),
    Word(&'static str),
    Is(bool),
    Nothing,
}

const fn number(
    name: &'static str,
    variable: &'static str,
    (min, default, max): (u64, u64, u64),
    description: &'static str,
) -> Setting {
    Setting { name, variable, kind: SettingKind::Integer { min, max }, default: Default::Number(default), description }
}

/// All of them, by name.
pub static SETTINGS: &[Setting] = &[
    number(
        "api_token_max_days",
        "RGW_SETTING_API_TOKEN_MAX_DAYS",
        (1, 365, 3650),
        "The longest life of an API token, in days",
    ),
    number(
        AMBER,
        "RGW_SETTING_AUDIT_AMBER_MINUTES",
        (1, 5, 1440),
        "An alarm is raised when the oldest record without an anchor is so many minutes old",
    ),
    number(
        RED,
        "RGW_SETTING_AUDIT_RED_MINUTES",
        (1, 15, 1440),
        "A louder alarm is raised when the oldest record without an anchor is so many minutes old",
    ),
    number(
        REFUSE,
        "RGW_SETTING_AUDIT_REFUSE_MINUTES",
        (0, 60, 10080),
        "Destruction and administration are refused when the oldest record without an anchor is so many minutes old; \
         0 for never",
    ),
    number(
        "cli_session_idle_days",
        "RGW_SETTING_CLI_SESSION_IDLE_DAYS",
        (1, 7, 90),
        "A CLI's session ends after so many days without use",
    ),
    number(
        "cli_session_max_days",
        "RGW_SETTING_CLI_SESSION_MAX_DAYS",
        (1, 30, 365),
        "A CLI's session, and a token for the CLI, ends after so many days in any case",
    ),
    Setting {
        name: "default_roles",
        variable: "RGW_SETTING_DEFAULT_ROLES",
        kind: SettingKind::Roles,
        default: Default::Nothing,
        description: "Roles of people who come without being invited, where user_creation lets them",
    },
    Setting {
        name: "mfa_require_all_users",
        variable: "RGW_SETTING_MFA_REQUIRE_ALL_USERS",
        kind: SettingKind::Boolean,
        default: Default::Is(true),
        description: "Whether a person who has no second factor must enrol one before anything else",
    },
    number(
        "mfa_trusted_device_days",
        "RGW_SETTING_MFA_TRUSTED_DEVICE_DAYS",
        (0, 30, 90),
        "For how many days a browser may spare its person the second factor at sign-in; 0 for never",
    ),
    number(
        "session_max_hours",
        "RGW_SETTING_SESSION_MAX_HOURS",
        (1, 12, 168),
        "A browser's session ends after so many hours in any case",
    ),
    number(
        "session_timeout_minutes",
        "RGW_SETTING_SESSION_TIMEOUT_MINUTES",
        (5, 30, 1440),
        "A browser's session ends after so many minutes without use",
    ),
    number(
        "token_overlap_max_hours",
        "RGW_SETTING_TOKEN_OVERLAP_MAX_HOURS",
        (0, 168, 720),
        "How many hours a rotated API token's old secret may go on working",
    ),
    Setting {
        name: "user_creation",
        variable: "RGW_SETTING_USER_CREATION",
        kind: SettingKind::Choice(&["invited", "groups", "domain"]),
        default: Default::Word("invited"),
        description: "Who becomes known at sign-in: nobody new, whoever is in a group that gives a role, or everybody \
                      whom the identity provider lets in",
    },
    number(
        "workload_token_minutes",
        "RGW_SETTING_WORKLOAD_TOKEN_MINUTES",
        (5, 15, 60),
        "The life of a CI run's token, in minutes",
    ),
];

impl Setting {
    /// The setting of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Its value where nobody says otherwise.
    #[must_use]
    pub fn default(&self) -> Value {
        match self.default {
            Default::Number(number) => json!(number),
            Default::Word(word) => json!(word),
            Default::Is(is) => json!(is),
            Default::Nothing => json!([]),
        }
    }

    /// Whether it may have this value.
    ///
    /// # Errors
    /// What it may have instead.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let is_good = match self.kind {
            SettingKind::Integer { min, max } => value.as_u64().is_some_and(|number| (min..=max).contains(&number)),
            SettingKind::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
            SettingKind::Roles => {
                value.as_array().is_some_and(|list| list.len() <= MOST_ROLES && list.iter().all(Value::is_string))
            }
            SettingKind::Boolean => value.is_boolean(),
        };
        if is_good { Ok(()) } else { Err(format!("{} must be {}", self.name, self.kind.says())) }
    }

    /// Reads the value out of a variable: numbers, words and truth as they are, roles with commas.
    fn parse(&self, text: &str) -> Result<Value, String> {
        let value = match self.kind {
            SettingKind::Integer { .. } => text.parse::<u64>().map_or(Value::Null, Value::from),
            SettingKind::Boolean => text.parse::<bool>().map_or(Value::Null, Value::from),
            SettingKind::Choice(_) => json!(text),
            SettingKind::Roles => text.split(',').map(str::trim).filter(|role| !role.is_empty()).collect(),
        };
        self.check(&value).map(|()| value)
    }
}

/// Most default roles.
const MOST_ROLES: usize = 20;

impl SettingKind {
    /// The values in words.
    #[must_use]
    pub fn says(self) -> String {
        match self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Roles => "a list of declared roles".to_owned(),
            Self::Boolean => "true or false".to_owned(),
        }
    }

    /// The name of the type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Integer { .. } => "integer",
            Self::Choice(_) => "choice",
            Self::Roles => "roles",
            Self::Boolean => "boolean",
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// Nobody says otherwise.
    Default,
    /// An administrator has set it.
    Database,
    /// The operator has pinned it.
    Environment,
}

impl SettingOrigin {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Database => "database",
            Self::Environment => "environment",
        }
    }
}

/// What the environment pins: the API cannot change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    pins: BTreeMap<&'static str, Value>,
}

impl Catalog {
    /// Nothing is pinned.
    #[must_use]
    pub const fn unpinned() -> Self {
        Self { pins: BTreeMap::new() }
    }

    /// With one more pin.
    #[must_use]
    pub fn pin(mut self, name: &'static str, value: Value) -> Self {
        self.pins.insert(name, value);
        self
    }

    /// Reads `RGW_SETTING_<NAME>` of each setting.
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
        let catalog = Self { pins };
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
        AnchorLimits::of(|name| {
            let setting = Setting::find(name).ok_or_else(|| format!("there is no setting {name}"))?;
            let (value, _) = self.value(setting, stored(name));
            setting.check(&value).map(|()| value.as_u64().unwrap_or_default())
        })
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

    /// The value that holds, if `stored` is what the database has.
    #[must_use]
    pub fn value(&self, setting: &Setting, stored: Option<&Value>) -> (Value, SettingOrigin) {
        match (self.pinned(setting.name), stored) {
            (Some(value), _) => (value.clone(), SettingOrigin::Environment),
            (None, Some(value)) => (value.clone(), SettingOrigin::Database),
            (None, None) => (setting.default(), SettingOrigin::Default),
        }
    }
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
        let pinned = Catalog { pins: BTreeMap::from([("user_creation", json!("groups"))]) };
        assert_eq!(pinned.value(setting, Some(&stored)), (json!("groups"), SettingOrigin::Environment));
        let free = Catalog::unpinned();
        assert_eq!(free.value(setting, Some(&stored)), (stored, SettingOrigin::Database));
        assert_eq!(free.value(setting, None), (json!("invited"), SettingOrigin::Default));
    }
}
