//! What is wrong with a bundle, in words that lead to the line to change.

use cedar_policy::ffi::DetailedError;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as the sources name it.
    pub file: String,
    /// Line in it, from 1, where one is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Problem {
    pub(super) fn new(file: &str, line: Option<usize>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, message: one_line(&message.into()), remedy: one_line(&remedy.into()) }
    }

    /// A complaint of the policy engine about a text, with its own help where it has some.
    pub(super) fn from_engine(file: &str, text: &str, error: &DetailedError, remedy: &str) -> Self {
        let line = error.source_locations.first().map(|at| line_at(text, at.loc.start));
        let label = error.source_locations.first().and_then(|at| at.label.as_deref());
        let message = match label {
            Some(label) => format!("{} ({label})", error.message),
            None => error.message.clone(),
        };
        Self::new(file, line, message, error.help.as_deref().unwrap_or(remedy))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}; remedy: {}", self.message, self.remedy)
    }
}

/// Everything that is wrong with a bundle. Never empty; sorted by file and line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleErrors {
    problems: Vec<Problem>,
}

impl BundleErrors {
    /// The problems, or nothing when there are none.
    pub(super) fn check(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort();
        problems.dedup();
        Err(Self { problems })
    }

    /// The problems, sorted by file and line.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for BundleErrors {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for BundleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for BundleErrors {}

/// The line, from 1, that holds the byte at `offset`.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The first line, from 1, that contains `needle`.
pub(super) fn line_of(text: &str, needle: &str) -> Option<usize> {
    text.find(needle).map(|offset| line_at(text, offset))
}

/// An error with everything that caused it.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
