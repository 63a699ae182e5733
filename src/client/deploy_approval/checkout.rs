//! What `git` says of the folder that the command runs in. Where there is no `git` or no checkout, nothing.

use std::process::{Command, Stdio};

/// Most bytes of an answer.
const LONGEST: usize = 1000;

/// Whether this is a whole commit: SHA-1 or SHA-256.
pub(super) fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The whole commit that a name stands for here: of a branch or tag, shortened, or `HEAD`.
pub(super) fn commit(name: &str) -> Option<String> {
    // What begins so would be an option.
    let is_name = !name.is_empty() && !name.starts_with('-');
    let name = is_name.then(|| format!("{name}^{{commit}}"))?;
    ask(&["rev-parse", "--verify", "--quiet", &name]).filter(|commit| is_commit(commit))
}

/// The branch that is checked out; none where only a commit is.
pub(super) fn branch() -> Option<String> {
    ask(&["symbolic-ref", "--quiet", "--short", "HEAD"])
}

/// The first line of what was written about a commit.
pub(super) fn subject(commit: &str) -> Option<String> {
    ask(&["log", "-1", "--format=%s", commit, "--"])
}

fn ask(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    let output = git.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next().unwrap_or_default().trim();
    (!line.is_empty() && line.len() <= LONGEST).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_commits_are_commits() {
        for (text, expected) in [
            ("0123456789abcdef0123456789abcdef01234567", true),
            ("0123456789ABCDEF0123456789ABCDEF01234567", true),
            ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true),
            ("0123456", false),
            ("0123456789abcdef0123456789abcdef0123456g", false),
            ("HEAD", false),
            ("", false),
        ] {
            assert_eq!(is_commit(text), expected, "{text}");
        }
        assert_eq!(commit("--help"), None);
        assert_eq!(commit(""), None);
    }
}
