//! What a request to deploy must say.

use serde_json::Value;

use crate::mask;

/// Most characters of a branch.
const BRANCH: usize = 255;
/// Most characters of a message.
const MESSAGE: usize = 2_000;
/// Most characters of the address of a pull request.
const ADDRESS: usize = 2_000;
/// Most bytes of what a CI system says about itself, as JSON.
const CI: usize = 8 << 10;

/// Why somebody cannot ask in this way. Says what is possible, and repeats nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No whole commit.
    #[error("commit must be a whole one: 40 or 64 hexadecimal digits, as `git rev-parse HEAD` prints them")]
    Commit,
    /// Not the name of a branch.
    #[error("branch must be one word of at most {BRANCH} characters")]
    Branch,
    /// Nothing that an approver could read.
    #[error("message must be a text of 1 to {MESSAGE} characters that says what is deployed")]
    Message,
    /// Not an address of the web.
    #[error("pr_url must be an https address of at most {ADDRESS} characters, without user or password")]
    Address,
    /// Something else than an object, or too much.
    #[error("ci must be a JSON object of at most {CI} bytes")]
    Ci,
}

/// What is asked for; only [`Ask::checked`] gives one that may be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The commit.
    pub commit: String,
    /// The branch.
    pub branch: Option<String>,
    /// What it is about, for approvers.
    pub message: String,
    /// The pull request.
    pub pr_url: Option<String>,
    /// What the CI system says about itself.
    pub ci: Option<Value>,
}

/// A commit as requests are stored: whole, in lower case. Nothing else is looked for, so that no part of one,
/// and nothing that a database would take for a pattern, stands for another.
///
/// # Errors
/// [`AskError::Commit`].
pub fn commit(text: &str) -> Result<String, AskError> {
    let is_whole = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_whole { Ok(text.to_ascii_lowercase()) } else { Err(AskError::Commit) }
}

impl Ask {
    /// The same as it is stored: texts without blanks around them, nothing instead of an empty one.
    ///
    /// # Errors
    /// [`AskError`].
    pub fn checked(self) -> Result<Self, AskError> {
        let branch = given(self.branch);
        let pr_url = given(self.pr_url);
        // Others will be told of it.
        let message = mask::scrub_tokens(self.message.trim());
        if branch.as_deref().is_some_and(|branch| !is_branch(branch)) {
            return Err(AskError::Branch);
        }
        let is_long = message.chars().count() > MESSAGE;
        if message.is_empty() || is_long || message.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
            return Err(AskError::Message);
        }
        if pr_url.as_deref().is_some_and(|address| !is_address(address)) {
            return Err(AskError::Address);
        }
        let ci = self.ci.filter(|ci| !ci.is_null());
        if ci.as_ref().is_some_and(|ci| !ci.is_object() || ci.to_string().len() > CI) {
            return Err(AskError::Ci);
        }
        Ok(Self { commit: commit(&self.commit)?, branch, message, pr_url, ci })
    }
}

fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn is_branch(branch: &str) -> bool {
    branch.chars().count() <= BRANCH && !branch.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// Approvers will follow it.
fn is_address(address: &str) -> bool {
    let Ok(url) = url::Url::parse(address) else { return false };
    let is_plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    is_plain && address.len() <= ADDRESS && !address.contains(|c: char| c.is_control() || c.is_whitespace())
}
