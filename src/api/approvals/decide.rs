//! What approvers do with a request, and how those behind it take it back.

use serde::Deserialize;
use utoipa::ToSchema;

use super::super::action::{
    Action, DeployApprovalApprove, DeployApprovalExtend, DeployApprovalReject, DeployApprovalRevoke,
};
use super::super::endpoint::Answer;
use super::super::{Call, Problem, Reply};
use super::request::digest;
use super::view::{DeployApproval, shown};
use super::{action, enabled, found, missing, over, party, resource};
use crate::approval::agreed;
use crate::mask;
use crate::pdp::Verdict;
use crate::store::{ApprovalRow, ApprovalState, StoreError};

/// Most characters of notes and reasons.
const TEXT: usize = 1_000;
/// Most approvals that a policy is expected to ask for.
const QUORUM: usize = 10;

/// That somebody agrees.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Approving {
    /// What to say about it, if anything.
    notes: Option<String>,
}

/// That somebody ends a request.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Ending {
    /// Why, for those behind it and for the record.
    reason: String,
}

/// Text of a person: a few lines at most.
fn text(what: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    let is_odd = text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'));
    if is_odd || text.chars().count() > TEXT {
        return Err(Problem::invalid(format!("{what} must be a text of at most {TEXT} characters")));
    }
    Ok(text.to_owned())
}

/// Agree to a request to deploy. When that is enough for policy it becomes a grant, for the time of the setting
/// deploy_approval_window_minutes; otherwise it waits for others, and `needed` says for how many.
#[utoipa::path(
    post, path = "/api/v1/apps/{app}/deploy-approvals/{approval}/approve", tag = "deploy approvals",
    request_body = Approving, responses(
        (status = 200, body = DeployApproval, description = "It is approved, or waits for others"),
        (status = 409, description = "It is not pending, or deploy approvals are switched off"),
    )
)]
pub(in crate::api) async fn approve(call: Call<DeployApprovalApprove>) -> Answer {
    let body: Approving = call.json()?;
    enabled(&call).await?;
    let notes = text("notes", body.notes.as_deref().unwrap_or_default())?;
    let row = found(&call).await?;
    let state = row.state_at(call.now());
    if state != ApprovalState::Pending {
        return Err(over(&row, state));
    }
    let change = [("approval", row.id.as_str()), ("commit", &row.commit), ("notes_sha256", &digest(&[&notes]))];
    call.record_change(&change).await?;
    let user = call.identity()?.id.clone();
    let row = match call.store().approval_vote(&row.id, &user, &notes, call.now()).await {
        Err(StoreError::Stale) => return Err(by_now(&call).await),
        done => done?,
    };
    grant(&call, row).await
}

/// Makes a request a grant, if policy says that enough people agree.
async fn grant<A: Action>(call: &Call<A>, row: ApprovalRow) -> Answer {
    let granting = action("deploy-approval:grant")?;
    let question = resource(call, &row, agreed(call.store(), &row).await?.len());
    if call.granted().would(call.gate(), granting, &question) != Some(Verdict::Allow) {
        return Reply::json(&with_needed(call, row).await?);
    }
    call.granted().also(call.gate(), granting, &question).await?;
    // Read again: nothing is granted from the moment on that approvals are switched off.
    let until = call.now() + enabled(call).await?.window;
    match call.store().approval_grant(&row.id, until, call.now()).await {
        Ok(row) => Reply::json(&shown(call, row)),
        // Of two approvers at once, one was enough.
        Err(StoreError::Stale) => {
            let row = found(call).await?;
            let state = row.state_at(call.now());
            if state == ApprovalState::Approved { Reply::json(&shown(call, row)) } else { Err(over(&row, state)) }
        }
        Err(error) => Err(error.into()),
    }
}

/// A request as it is shown, with how many more people must agree. Asked of policy, as the person who looks, or
/// who has just agreed: none when more people would not help. Whether a factor is there yet is another question.
pub(super) async fn with_needed<A: Action>(call: &Call<A>, row: ApprovalRow) -> Result<DeployApproval, Problem> {
    if row.state_at(call.now()) != ApprovalState::Pending {
        return Ok(shown(call, row));
    }
    let granting = action("deploy-approval:grant")?;
    let have = agreed(call.store(), &row).await?.len();
    let is_enough = |more: &usize| {
        let question = resource(call, &row, have.saturating_add(*more));
        matches!(call.granted().would(call.gate(), granting, &question), Some(Verdict::Allow | Verdict::Challenge))
    };
    let needed = (1..=QUORUM).find(is_enough);
    Ok(shown(call, row).needing(needed))
}

/// Say no to a request to deploy, or end a grant.
#[utoipa::path(
    post, path = "/api/v1/apps/{app}/deploy-approvals/{approval}/reject", tag = "deploy approvals",
    request_body = Ending, responses(
        (status = 200, body = DeployApproval),
        (status = 409, description = "It has ended already"),
    )
)]
pub(in crate::api) async fn reject(call: Call<DeployApprovalReject>) -> Answer {
    end(&call, ApprovalState::Rejected, "deploy-approval.rejected").await
}

/// Take back a request to deploy, or a grant. Those behind it may do so as well as approvers.
#[utoipa::path(
    post, path = "/api/v1/apps/{app}/deploy-approvals/{approval}/revoke", tag = "deploy approvals",
    request_body = Ending, responses(
        (status = 200, body = DeployApproval),
        (status = 409, description = "It has ended already"),
    )
)]
pub(in crate::api) async fn revoke(call: Call<DeployApprovalRevoke>) -> Answer {
    end(&call, ApprovalState::Revoked, "deploy-approval.revoked").await
}

async fn end<A: Action>(call: &Call<A>, to: ApprovalState, kind: &'static str) -> Answer {
    let body: Ending = call.json()?;
    let reason = text("reason", &body.reason)?;
    if reason.is_empty() {
        return Err(Problem::invalid(format!("reason must be a text of 1 to {TEXT} characters")));
    }
    let row = found(call).await?;
    let state = row.state_at(call.now());
    if !state.is_live() {
        return Err(over(&row, state));
    }
    // What leaves the database holds no secret that somebody put into it.
    let told = mask::scrub(&reason);
    call.record_change(&[("approval", &row.id), ("commit", &row.commit), ("reason", &told)]).await?;
    let mut notice = row.notice(kind, call.now());
    if let Some(data) = notice.data.as_object_mut() {
        data.insert("reason".to_owned(), told.into());
    }
    let by = party(call)?;
    match call.store().approval_end(&row.id, to, Some(&reason), Some(&by), call.now(), Some(&notice)).await {
        Ok(row) => Reply::json(&shown(call, row)),
        Err(StoreError::Stale) => Err(by_now(call).await),
        Err(error) => Err(error.into()),
    }
}

/// Somebody else was faster: what has become of it.
async fn by_now<A: Action>(call: &Call<A>) -> Problem {
    match found(call).await {
        Ok(row) => over(&row, row.state_at(call.now())),
        Err(problem) => problem,
    }
}

/// Let a grant last longer, by the time of the setting deploy_approval_window_minutes. Only while it lasts.
#[utoipa::path(
    post, path = "/api/v1/apps/{app}/deploy-approvals/{approval}/extend", tag = "deploy approvals", responses(
        (status = 200, body = DeployApproval),
        (status = 409, description = "It is no grant, or deploy approvals are switched off"),
    )
)]
pub(in crate::api) async fn extend(call: Call<DeployApprovalExtend>) -> Answer {
    let window = enabled(&call).await?.window;
    let row = found(&call).await?;
    let state = row.state_at(call.now());
    if state != ApprovalState::Approved {
        return Err(over(&row, state));
    }
    // It may have been extended since the decision; and only what is decided on here is what changes.
    let question = resource(&call, &row, agreed(call.store(), &row).await?.len());
    call.granted().also(call.gate(), action("deploy-approval:extend")?, &question).await?;
    let until = row.expires_at + window;
    let extensions = (row.extensions.saturating_add(1)).to_string();
    call.record_change(&[("approval", &row.id), ("commit", &row.commit), ("extensions", &extensions)]).await?;
    match call.store().approval_extend(&row.id, row.extensions, until, call.now()).await {
        Ok(row) => Reply::json(&shown(&call, row)),
        Err(StoreError::Stale) => Err(Problem::new(409, "conflict", "it changed at the same time: look at it again")),
        Err(StoreError::NotFound) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}
