//! What somebody who is refused a deploy can do about it.

use time::OffsetDateTime;

use super::commit as whole;
use crate::store::{ApprovalRow, ApprovalState};

/// One or two sentences for a machine that may deploy `app` only under a grant: the request that waits, the
/// grant that is for another commit, or how to ask. `commit` is the one that it wanted, where that is known;
/// `live` are its requests for the app that are pending or approved. No sign in it is one that a `printf`
/// would read.
#[must_use]
pub fn hint(app: &str, commit: Option<&str>, live: &[ApprovalRow], now: OffsetDateTime) -> String {
    let wanted = commit.and_then(|text| whole(text).ok());
    let is_it = |row: &&ApprovalRow| wanted.as_ref().is_none_or(|wanted| row.commit == *wanted);
    let of = |state: ApprovalState| live.iter().filter(move |row| row.state_at(now) == state);
    if let Some(waiting) = of(ApprovalState::Pending).rfind(is_it) {
        return format!(
            "request {id} to deploy commit {commit} of {app} waits for its approval: an approver runs \
             `rack-gateway deploy-approval approve {id}`, and `rack-gateway deploy-approval wait {id}` waits for it",
            id = waiting.id,
            commit = waiting.commit,
        );
    }
    let ask = format!(
        "ask for it: rack-gateway deploy-approval request --app {app} --git-commit {} --message TEXT --wait",
        wanted.as_deref().unwrap_or("COMMIT"),
    );
    match of(ApprovalState::Approved).next_back() {
        Some(other) => format!("grant {} is for commit {} and what came of it; {ask}", other.id, other.commit),
        None => ask,
    }
}
