//! Requests to deploy: asking, following, approving, and ending them.

pub(super) mod decide;
pub(super) mod request;
mod view;
pub(super) mod wait;

use super::action::Action;
use super::{Call, Problem};
use crate::config::DeploySettings;
use crate::pdp::ResourceRef;
use crate::pep::deploy_approval;
use crate::routes::{Resource, Row, actions};
use crate::store::{ApprovalRow, ApprovalState, Party};

/// How deploy approvals are set; a problem where there are none.
async fn enabled<A: Action>(call: &Call<A>) -> Result<DeploySettings, Problem> {
    let settings = call.gate().deploy_settings().await?;
    if settings.enabled {
        return Ok(settings);
    }
    let why = "deploy approvals are switched off (the setting deploy_approvals_enabled): nothing is asked for and \
               nothing granted until an administrator switches them on";
    Err(Problem::new(409, "approvals-disabled", why))
}

/// The request of the path.
async fn found<A: Action>(call: &Call<A>) -> Result<ApprovalRow, Problem> {
    let row = call.store().approval_find(call.param("approval")?).await?;
    let app = call.param("app")?;
    row.filter(|row| row.app == app).ok_or_else(missing)
}

fn missing() -> Problem {
    Problem::not_found("deploy approval")
}

/// It is not in the state that this needs.
fn over(row: &ApprovalRow, state: ApprovalState) -> Problem {
    let how = match state {
        ApprovalState::Pending => "it waits for its approval",
        ApprovalState::Approved => "it is approved already",
        ApprovalState::Deployed => "it was deployed",
        ApprovalState::Rejected => "it was rejected",
        ApprovalState::Expired => "its time is over: ask for another one",
        ApprovalState::Revoked => "it was revoked",
    };
    Problem::new(409, "not-in-state", format!("deploy approval {} is {}: {how}", row.id, state.as_str()))
}

/// A row of the table by its action.
fn action(name: &str) -> Result<&'static Row, Problem> {
    actions().find(|row| row.action == name).ok_or_else(|| Problem::new(403, "denied", "no such action"))
}

/// The request as a question names it, when so many people agree.
fn resource<A: Action>(call: &Call<A>, row: &ApprovalRow, approvals: usize) -> ResourceRef {
    let id = format!("{}/{}", row.app, row.id);
    let about = deploy_approval(row, approvals, call.now());
    ResourceRef {
        about: Some(Box::new(about)),
        ..ResourceRef::new(Resource::DeployApproval, id, Some(row.app.clone()))
    }
}

/// Who asks, as a party of a request.
fn party<A: Action>(call: &Call<A>) -> Result<Party, Problem> {
    let identity = call.identity()?;
    Ok(Party::new(identity.principal.as_str(), identity.id.clone()))
}
