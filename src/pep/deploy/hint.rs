//! What to do about a missing approval: the request to make, or the one that waits.

use crate::approval;
use crate::pep::Gate;
use crate::store::StoreError;

use super::Deploy;

/// A sentence for the terminal of a CI job.
pub(super) async fn text(gate: &Gate, deploy: &Deploy, voided: bool) -> Result<String, StoreError> {
    if !gate.deploy_settings().await?.enabled {
        return Ok("deploy approvals are switched off, so nothing that needs one is allowed".to_owned());
    }
    let app = &deploy.app;
    if let (Some(grant), Some(drift)) = (&deploy.grant, &deploy.drift) {
        let (what, id, commit) = (&drift.why, &grant.row.id, &grant.row.commit);
        let over = if voided { "is revoked because of that" } else { "has been used for it" };
        return Ok(format!(
            "{what}; approval {id} {over}; {}",
            approval::hint(app, Some(commit), &[], gate.clock.now())
        ));
    }
    let now = gate.clock.now();
    let live = gate.store.approvals_live(app, &deploy.party, now).await?;
    Ok(approval::hint(app, deploy.form.get("git-sha"), &live, now))
}
