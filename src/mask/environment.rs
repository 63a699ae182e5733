//! The environment of a release: one variable a line.
//!
//! Read exactly as the rack and the CLI read it (convox `pkg/structs/environment.go`): what has no `=` is no
//! variable, names are trimmed and values are not, the last of several counts, and nothing is quoted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A line of this many bytes or more is one that the rack cannot read (Go's `bufio.MaxScanTokenSize`).
const LINE: usize = 64 << 10;
/// Longest name that may be written.
const NAME: usize = 256;

/// Why an environment cannot be read, or not be written. Values never appear; names are cut to a safe alphabet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A line that is longer than the rack reads.
    #[error("a variable is longer than 64 KiB, which the rack cannot read")]
    Long,
    /// A name that no process could have. It is not told: it may be a line of a secret.
    #[error("the name of a variable is letters, digits, '_', '.' and '-': a value of several lines cannot be set")]
    Name,
    /// A line break inside, or a carriage return at the end, of a value, or the first line of several.
    #[error("the value of {0} has a line break, which the rack would cut off")]
    Break(String),
}

/// The variables of a release. `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// What differs between two environments: names, never values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New variables, and those with another value.
    pub set: BTreeSet<String>,
    /// Variables that are no longer there.
    pub unset: BTreeSet<String>,
}

impl Changes {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }
}

impl Environment {
    /// Reads the text of a release.
    ///
    /// # Errors
    /// [`EnvironmentError::Long`], where the rack would fail as well.
    pub fn parse(text: &str) -> Result<Self, EnvironmentError> {
        let mut variables = BTreeMap::new();
        for line in text.split('\n') {
            if line.len() >= LINE {
                return Err(EnvironmentError::Long);
            }
            let line = line.strip_suffix('\r').unwrap_or(line);
            let Some((name, value)) = line.split_once('=') else { continue };
            let name = name.trim();
            if !name.is_empty() {
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(Self { variables })
    }

    /// Writes it as the CLI does: sorted lines, without a line break at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines: Vec<String> = self.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty()
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Removes a variable; whether it was there.
    pub fn unset(&mut self, name: &str) -> bool {
        self.variables.remove(name).is_some()
    }

    /// What changes from `self` to `after`.
    #[must_use]
    pub fn diff(&self, after: &Self) -> Changes {
        let set = after.iter().filter(|(name, value)| self.get(name) != Some(value));
        let unset = self.iter().filter(|(name, _)| after.get(name).is_none());
        Changes {
            set: set.map(|(name, _)| name.to_owned()).collect(),
            unset: unset.map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// The same with other values, where `value_for` has one: masks for values, or values for masks.
    ///
    /// # Errors
    /// The first of `value_for`.
    pub fn replace<E>(mut self, mut value_for: impl FnMut(&str, &str) -> Result<Option<String>, E>) -> Result<Self, E> {
        for (name, value) in &mut self.variables {
            if let Some(other) = value_for(name, value)? {
                *value = other;
            }
        }
        Ok(self)
    }

    /// Whether the rack reads from [`Self::to_text`] what is here, and the names in `set` are ones that a process
    /// can have. Names that were there before are left alone.
    ///
    /// # Errors
    /// [`EnvironmentError`].
    pub fn check(&self, set: &BTreeSet<String>) -> Result<(), EnvironmentError> {
        if !set.iter().all(|name| is_name(name)) {
            return Err(EnvironmentError::Name);
        }
        for (name, value) in self.iter() {
            // Of PEM in several lines, the others would be variables of their own.
            let is_begun = set.contains(name) && value.contains("-----BEGIN") && !value.contains("-----END");
            if value.contains('\n') || value.ends_with('\r') || is_begun {
                return Err(EnvironmentError::Break(label(name)));
            }
            if name.len().saturating_add(value.len()).saturating_add(1) >= LINE {
                return Err(EnvironmentError::Long);
            }
        }
        Ok(())
    }
}

/// Whether a process can have a variable of this name.
fn is_name(name: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !name.is_empty() && name.len() <= NAME && name.chars().all(fit)
}

/// A name that came from a client, fit for a message that a `printf` will read.
#[must_use]
pub fn label(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '?' };
    name.chars().take(64).map(fit).collect()
}

#[cfg(test)]
mod tests;
