//! What to do about a missing approval: the request to make, or the one that waits.

use crate::pep::Gate;
use crate::store::{ApprovalState, StoreError};

use super::Deploy;

/// A sentence for the terminal of a CI job.
pub(super) async fn text(gate: &Gate, deploy: &Deploy, voided: bool) -> Result<String, StoreError> {
    if !gate.deploy_settings().await?.enabled {
        return Ok("deploy approvals are switched off, so nothing that needs one is allowed".to_owned());
    }
    let app = &deploy.app;
    let commit = deploy.form.get("git-sha").filter(|commit| is_commit(commit)).unwrap_or("COMMIT");
    let ask = format!("ask for one with: rack-gateway deploy-approval request --app {app} --commit {commit}");
    if let (Some(grant), Some(drift)) = (&deploy.grant, &deploy.drift) {
        let id = &grant.row.id;
        let what = &drift.why;
        return Ok(if voided {
            let ask = ask.replace("COMMIT", &grant.row.commit);
            format!("{what}; approval {id} is revoked because of that; {ask}")
        } else {
            format!("{what} (approval {id}); for another deploy {ask}")
        });
    }
    let live = gate.store.approvals_live(app, &deploy.party, gate.clock.now()).await?;
    let named = |commit: &str| live.iter().find(|row| row.commit == commit);
    let pending = live.iter().filter(|row| row.state == ApprovalState::Pending);
    let waiting = named(commit).or_else(|| pending.last()).filter(|row| row.state == ApprovalState::Pending);
    Ok(match waiting {
        Some(row) => format!(
            "request {} for commit {} waits for its approval: rack-gateway deploy-approval wait {}",
            row.id, row.commit, row.id
        ),
        None => ask,
    })
}

fn is_commit(commit: &str) -> bool {
    matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit())
}
