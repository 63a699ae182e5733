//! The environment as a value.

use std::collections::BTreeMap;

/// Where settings come from.
pub trait Env {
    /// The value of `name`, if set and not empty.
    fn get(&self, name: &str) -> Option<String>;

    /// The names of all that is set.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Env for Process {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }
}

impl Env for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        Self::get(self, name).filter(|value| !value.is_empty()).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

/// The value of a variable that must be set with others of its kind; says so in `problems` where it is not, and
/// `what` belongs there.
pub(super) fn required(env: &dyn Env, name: &str, what: &str, problems: &mut Vec<String>) -> Option<String> {
    let value = env.get(name);
    if value.is_none() {
        problems.push(format!("{name} is not set: {what}"));
    }
    value
}
