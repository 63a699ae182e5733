//! Which images an app may run: a regular expression for each service, timer or resource, and `*` for the others.

use std::collections::BTreeMap;

use regex::Regex;

use super::manifest::Manifest;

/// Stands for the commit that is built.
const COMMIT: &str = "{{GIT_COMMIT}}";

/// Why an image is not allowed. The names are those of the manifest; the images are not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageProblem {
    /// A rule is no regular expression.
    #[error("the image rule for {0} is no regular expression")]
    Rule(String),
    /// There are rules, but none for this one.
    #[error("no image rule covers {0}")]
    Uncovered(String),
    /// Built from source.
    #[error("{0} is built from source, where an image rule asks for an image")]
    Built(String),
    /// The rule speaks of the commit, and it is not known.
    #[error("the image rule for {0} asks for the commit, and the build names none")]
    Commit(String),
    /// Another image.
    #[error("the image of {0} is not one that its rule allows")]
    Other(String),
}

/// The rules of an app.
pub type Rules = BTreeMap<String, String>;

/// Whether everything in the manifest that runs an image runs one that its rule allows.
///
/// # Errors
/// The first that does not. Without any rule there is none.
pub fn check(manifest: &Manifest, rules: &Rules, commit: &str) -> Result<(), ImageProblem> {
    if rules.is_empty() {
        return Ok(());
    }
    // One that does not compile allows nothing, also where it is not the rule of any service.
    for (name, rule) in rules {
        compile(rule, commit).ok_or_else(|| ImageProblem::Rule(shown(name)))?;
    }
    for runs in &manifest.runs {
        let name = shown(&runs.name);
        let Some(rule) = rules.get(&runs.name).or_else(|| rules.get("*")) else {
            return Err(ImageProblem::Uncovered(name));
        };
        let Some(image) = &runs.image else { return Err(ImageProblem::Built(name)) };
        if commit.is_empty() && rule.contains(COMMIT) {
            return Err(ImageProblem::Commit(name));
        }
        // The rack writes the image into a Dockerfile, and puts variables in its place.
        let odd = |symbol: char| symbol == '$' || symbol.is_whitespace() || symbol.is_control();
        let matches = compile(rule, commit).is_some_and(|rule| rule.is_match(image));
        if image.contains(odd) || !matches {
            return Err(ImageProblem::Other(name));
        }
    }
    Ok(())
}

/// The rule as a whole must match, and must be one by itself: `a)|(b` is none.
fn compile(rule: &str, commit: &str) -> Option<Regex> {
    let rule = rule.replace(COMMIT, &regex::escape(commit));
    Regex::new(&rule).ok()?;
    Regex::new(&format!(r"\A(?:{rule})\z")).ok()
}

/// A name for people: short, and without what a terminal or the CLI would take for a command.
fn shown(name: &str) -> String {
    name.chars()
        .filter(|symbol| symbol.is_ascii_alphanumeric() || matches!(symbol, '-' | '_' | '.' | '*'))
        .take(64)
        .collect()
}
