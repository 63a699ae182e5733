//! What a setting is: its name, what values it takes, and how those are written.

use regex::RegexBuilder;
use serde_json::{Value, json};

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
    /// Names of variables of an environment, possibly none.
    Names {
        /// Whether `*` may stand for any characters.
        patterns: bool,
    },
    /// Command lines, possibly none.
    Commands,
    /// Service → regular expression for its image, possibly none.
    Images,
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What pins it; empty for a setting of apps, whose variable has the app's name in it.
    pub variable: &'static str,
    /// What values it takes.
    pub kind: SettingKind,
    /// Its value where nobody says otherwise.
    pub(super) default: Initial,
    /// What it is for, with its unit.
    pub description: &'static str,
}

/// A value where nobody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Initial {
    Number(u64),
    Word(&'static str),
    Is(bool),
    /// An empty list.
    Nothing,
    /// An empty object.
    NoEntries,
}

/// Most default roles.
const MOST_ROLES: usize = 20;
/// Most names, commands or services of one setting.
const MOST: usize = 200;
/// Most bytes of a name.
const LONGEST_NAME: usize = 128;
/// Most bytes of a command.
const LONGEST_COMMAND: usize = 4096;
/// Most bytes of a regular expression.
const LONGEST_PATTERN: usize = 1000;
/// Most memory of a compiled regular expression, in bytes.
const PATTERN_MEMORY: usize = 1 << 20;
/// Stands for the approved commit in the rules for images.
pub(super) const COMMIT: &str = "{{GIT_COMMIT}}";

impl Setting {
    /// Its value where nobody says otherwise.
    #[must_use]
    pub fn default(&self) -> Value {
        match self.default {
            Initial::Number(number) => json!(number),
            Initial::Word(word) => json!(word),
            Initial::Is(is) => json!(is),
            Initial::Nothing => json!([]),
            Initial::NoEntries => json!({}),
        }
    }

    /// Whether it may have this value.
    ///
    /// # Errors
    /// What it may have instead.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let problem = match self.kind {
            SettingKind::Integer { min, max } => {
                unless(value.as_u64().is_some_and(|number| (min..=max).contains(&number)))
            }
            SettingKind::Choice(words) => unless(value.as_str().is_some_and(|word| words.contains(&word))),
            SettingKind::Roles => unless(list(value).is_some_and(|roles| roles.len() <= MOST_ROLES)),
            SettingKind::Boolean => unless(value.is_boolean()),
            SettingKind::Names { patterns } => unless(each(value, |name| is_variable(name, patterns))),
            SettingKind::Commands => unless(each(value, is_command)),
            SettingKind::Images => images(value),
        };
        match problem {
            None => Ok(()),
            Some(what) if what.is_empty() => Err(format!("{} must be {}", self.name, self.kind.says())),
            Some(what) => Err(format!("{} must be {}: {what}", self.name, self.kind.says())),
        }
    }

    /// Reads the value out of a variable: numbers, words and truth as they are, roles and names with commas,
    /// everything else, and names too, as JSON.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        let as_json = || serde_json::from_str(text).unwrap_or(Value::Null);
        let value = match self.kind {
            SettingKind::Integer { .. } => text.parse::<u64>().map_or(Value::Null, Value::from),
            SettingKind::Boolean => text.parse::<bool>().map_or(Value::Null, Value::from),
            SettingKind::Choice(_) => json!(text),
            SettingKind::Names { .. } if text.trim_start().starts_with('[') => as_json(),
            SettingKind::Roles | SettingKind::Names { .. } => {
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
            }
            SettingKind::Commands | SettingKind::Images => as_json(),
        };
        self.check(&value).map(|()| value)
    }
}

/// A problem of which there is no more to say.
fn unless(good: bool) -> Option<String> {
    (!good).then(String::new)
}

fn list(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

fn each(value: &Value, is_good: impl Fn(&str) -> bool) -> bool {
    list(value).is_some_and(|texts| texts.len() <= MOST && texts.into_iter().all(is_good))
}

fn is_variable(name: &str, patterns: bool) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') || (patterns && c == '*');
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_plain)
}

/// One line. A space at an end would be invisible, and make it another command.
fn is_command(command: &str) -> bool {
    (1..=LONGEST_COMMAND).contains(&command.len()) && command.trim() == command && !command.contains(char::is_control)
}

/// What is wrong with rules for images, if anything.
fn images(value: &Value) -> Option<String> {
    let Some(rules) = value.as_object().filter(|rules| rules.len() <= MOST) else { return Some(String::new()) };
    rules.iter().find_map(|(service, pattern)| {
        let pattern = pattern.as_str().filter(|pattern| (1..=LONGEST_PATTERN).contains(&pattern.len()));
        let problem = match pattern {
            _ if service != "*" && !is_label(service) => "that is no name of a service",
            None => "write a regular expression of 1 to 1000 bytes",
            Some(pattern) if !compiles(pattern) => "the regular expression does not compile, or is too large",
            Some(_) => return None,
        };
        let service: String = service.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        Some(format!("{service}: {problem}"))
    })
}

/// Both alone and as it is used: a parenthesis or a comment must not escape from the anchors.
fn compiles(pattern: &str) -> bool {
    let pattern = pattern.replace(COMMIT, "0123456789abcdef");
    let is_good = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY).build().is_ok();
    is_good(&pattern) && is_good(&format!(r"\A(?:{pattern})\z"))
}

/// A name as Kubernetes has them, and so apps and services (RFC 1123 §2.1, in lower case).
pub(super) fn is_label(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(is_plain) && !name.starts_with('-') && !name.ends_with('-')
}

impl SettingKind {
    /// The values in words.
    #[must_use]
    pub fn says(self) -> String {
        match self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Roles => "a list of declared roles".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Names { patterns: false } => format!("a list of at most {MOST} names of variables"),
            Self::Names { patterns: true } => {
                format!("a list of at most {MOST} names of variables, in which * may stand for any characters")
            }
            Self::Commands => format!("a list of at most {MOST} commands of one line, without spaces at the ends"),
            Self::Images => format!("an object of at most {MOST} services (or *), each with a regular expression"),
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
            Self::Names { .. } => "names",
            Self::Commands => "commands",
            Self::Images => "images",
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
