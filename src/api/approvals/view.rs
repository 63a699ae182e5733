//! Requests to deploy as they are shown.

use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::super::action::Action;
use super::super::{Call, Problem};
use crate::store::{ApprovalRow, Party, Vote};

/// Who asks, deploys or ends a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Who {
    /// `User`, `ApiToken` or `Workload`.
    kind: String,
    /// Its id; the name in policy and records.
    id: String,
}

impl From<Party> for Who {
    fn from(party: Party) -> Self {
        Self { kind: party.kind, id: party.id }
    }
}

/// That somebody agrees.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApprovalVote {
    /// Who.
    user: String,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// What they say about it.
    notes: String,
    /// Whether it counts: those behind the request do not.
    counts: bool,
}

/// A request to deploy one commit of one app, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeployApproval {
    /// UUID.
    id: String,
    app: String,
    /// The whole commit, in lower case.
    commit: String,
    /// As whoever asked named it.
    branch: Option<String>,
    /// What is deployed, for approvers.
    message: String,
    /// As whoever asked named it.
    pr_url: Option<String>,
    /// What the CI system says about itself.
    #[schema(value_type = Option<Object>)]
    ci: Option<serde_json::Value>,
    /// `pending`, `approved`, `deployed`, `rejected`, `expired` or `revoked`.
    state: &'static str,
    /// Why it ended.
    reason: Option<String>,
    requester: Who,
    /// Who may use the grant.
    deployer: Who,
    /// The people behind it: who asked, and who made the tokens that ask or deploy. None of them approves it.
    behind: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// From when on it is over, pending or approved.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    approved_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    ended_by: Option<Who>,
    /// How often it was extended.
    extensions: u32,
    approvals: Vec<ApprovalVote>,
    /// The release that ran when it was asked for.
    running_release: Option<String>,
    /// The newest release at that time: the build copies its environment, and the release that is promoted must
    /// have it.
    parent_release: Option<String>,
    /// The variables that will differ from the release that runs: names, never values.
    env_changes: Vec<String>,
    /// How many more people must agree, as far as policy tells; null when it is not pending, and in lists.
    needed: Option<usize>,
}

impl DeployApproval {
    /// A request at this time.
    pub(super) fn of(row: ApprovalRow, now: OffsetDateTime) -> Self {
        let state = row.state_at(now).as_str();
        let vote = |vote: &Vote| ApprovalVote {
            user: vote.user_id.clone(),
            at: vote.at,
            notes: vote.notes.clone(),
            counts: !row.users.contains(&vote.user_id),
        };
        Self {
            state,
            approvals: row.votes.iter().map(vote).collect(),
            id: row.id,
            app: row.app,
            commit: row.commit,
            branch: row.branch,
            message: row.message,
            pr_url: row.pr_url,
            ci: row.ci,
            reason: row.reason,
            requester: row.requester.into(),
            deployer: row.deployer.into(),
            behind: row.users,
            created_at: row.created_at,
            expires_at: row.expires_at,
            approved_at: row.approved_at,
            ended_at: row.ended_at,
            ended_by: row.ended_by.map(Who::from),
            extensions: row.extensions,
            running_release: row.running_release,
            parent_release: row.parent_release,
            env_changes: row.env_changes,
            needed: None,
        }
    }

    /// The same, of which so many more people must agree to.
    pub(super) fn needing(self, needed: Option<usize>) -> Self {
        Self { needed, ..self }
    }
}

/// One as JSON text.
pub(super) fn text(row: ApprovalRow, now: OffsetDateTime) -> Result<String, Problem> {
    let mut text = serde_json::to_string_pretty(&DeployApproval::of(row, now))
        .map_err(|_| Problem::new(503, "unanswerable", "the answer cannot be written"))?;
    text.push('\n');
    Ok(text)
}

/// What `call` shows of one.
pub(super) fn shown<A: Action>(call: &Call<A>, row: ApprovalRow) -> DeployApproval {
    DeployApproval::of(row, call.now())
}
