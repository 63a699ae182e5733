//! Asking for a deploy, and looking at what was asked for.

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::action::{Action, DeployApprovalCreate, DeployApprovalList, DeployApprovalRead};
use super::super::endpoint::Answer;
use super::super::limit;
use super::super::parts::{Page, Wanted};
use super::super::{Call, Problem, Reply};
use super::view::{DeployApproval, shown};
use super::{action, enabled, found, party, resource};
use crate::approval::{Ask, AskError, Behind, PartyError, behind, commit, differing, expire};
use crate::pdp::Verdict;
use crate::pep::{ErrandError, Look};
use crate::store::{ApprovalFilter, ApprovalRow, ApprovalState, NewApproval, StoreError};

/// A deploy to ask for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct NewDeployApproval {
    /// The whole commit: 40 or 64 hexadecimal digits.
    commit: String,
    /// What is deployed, for approvers.
    message: String,
    /// The branch.
    branch: Option<String>,
    /// The pull request: an https address.
    pr_url: Option<String>,
    /// What the CI system says about itself: a JSON object of at most 8 KiB.
    #[schema(value_type = Option<Object>)]
    ci: Option<Value>,
    /// The API token that shall deploy, by id or name; whoever asks unless it is given.
    deployer: Option<String>,
}

impl NewDeployApproval {
    fn ask(self) -> Result<(Ask, Option<String>), AskError> {
        let Self { commit, message, branch, pr_url, ci, deployer } = self;
        Ok((Ask { commit, message, branch, pr_url, ci }.checked()?, deployer))
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<PartyError> for Problem {
    fn from(error: PartyError) -> Self {
        match error {
            PartyError::Store(error) => error.into(),
            error => Self::invalid(error.to_string()),
        }
    }
}

/// What a deploy changes beside the code, as far as the rack tells.
#[derive(Default)]
struct Preview {
    running: Option<String>,
    parent: Option<String>,
    changes: Vec<String>,
}

impl Preview {
    async fn of(look: &Look, app: &str) -> Result<Self, Problem> {
        let id = |value: Option<&Value>| value?.as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        let running = id(look.app(app).await.map_err(unknown)?.get("release"));
        let parent = id(look.releases(app, 1).await.map_err(unknown)?.pointer("/0/id"));
        let mut preview = Self { running, parent, changes: Vec::new() };
        if let (Some(running), Some(parent)) = (&preview.running, &preview.parent)
            && running != parent
        {
            let before = environment(look, app, running).await?;
            let after = environment(look, app, parent).await?;
            preview.changes = differing(&before, &after).map_err(|error| {
                let what = format!("the environments of the app's releases cannot be compared: {error}");
                Problem::new(502, "rack-unreadable", what)
            })?;
        }
        Ok(preview)
    }
}

async fn environment(look: &Look, app: &str, release: &str) -> Result<String, Problem> {
    let release = look.release(app, release).await.map_err(unknown)?;
    Ok(release.get("env").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn unknown(error: ErrandError) -> Problem {
    match error {
        ErrandError::Missing => Problem::new(404, "not-found", "the rack has no such app"),
        error => {
            tracing::warn!(%error, "the rack does not say what a deploy would change");
            Problem::new(502, "rack-unreadable", "the rack does not say what runs now: try again")
        }
    }
}

/// Ask for the approval to deploy one commit of an app. While a request for the same app, commit and deployer is
/// pending or approved, that is the answer (200).
#[utoipa::path(
    post, path = "/api/v1/apps/{app}/deploy-approvals", tag = "deploy approvals", request_body = NewDeployApproval,
    responses(
        (status = 201, body = DeployApproval, headers(("location" = String, description = "Where it is read"))),
        (status = 200, body = DeployApproval, description = "It was asked for already"),
        (status = 409, description = "Deploy approvals are switched off"),
        (status = 429, description = "Too many requests"),
        (status = 502, description = "The rack does not say what runs now"),
    )
)]
pub(in crate::api) async fn create(call: Call<DeployApprovalCreate>) -> Answer {
    let body: NewDeployApproval = call.json()?;
    enabled(&call).await?;
    let app = call.param("app")?.to_owned();
    let (ask, named) = body.ask()?;
    let parties = behind(call.store(), party(&call)?, named.as_deref(), &app, call.now()).await?;
    if let Some(live) = live(&call, &app, &ask.commit, &parties).await? {
        return existing(&call, live).await;
    }
    limit::APPROVAL.spare(call.store(), &parties.requester.id, call.now()).await?;
    let look = call.granted().look().ok_or_else(|| Problem::new(503, "unanswerable", "the rack cannot be asked"))?;
    let preview = Preview::of(&look, &app).await?;
    let new = new_request(&call, app, ask, parties, preview).await?;
    record(&call, &new).await?;
    let (row, is_new) = match call.store().approval_request(new.clone(), call.now()).await {
        // Another replica was faster: what it made is there now.
        Err(StoreError::Conflict(_)) => call.store().approval_request(new, call.now()).await?,
        done => done?,
    };
    if !is_new {
        return existing(&call, row).await;
    }
    let location = format!("/api/v1/apps/{}/deploy-approvals/{}", row.app, row.id);
    let view = super::decide::with_needed(&call, row).await?;
    Ok(Reply::json(&view)?.status(201).header("location", location))
}

async fn new_request<A: Action>(
    call: &Call<A>,
    app: String,
    ask: Ask,
    parties: Behind,
    preview: Preview,
) -> Result<NewApproval, Problem> {
    let pending = enabled(call).await?.pending;
    Ok(NewApproval {
        id: Uuid::now_v7().to_string(),
        app,
        commit: ask.commit,
        branch: ask.branch,
        message: ask.message,
        pr_url: ask.pr_url,
        ci: ask.ci,
        requester: parties.requester,
        deployer: parties.deployer,
        users: parties.users,
        expires_at: call.now() + pending,
        running_release: preview.running,
        parent_release: preview.parent,
        env_changes: preview.changes,
    })
}

/// The live request for the same, if any. One whose time is over is ended on the way, so that it does not stand
/// in the way of another.
async fn live<A: Action>(
    call: &Call<A>,
    app: &str,
    commit: &str,
    parties: &Behind,
) -> Result<Option<ApprovalRow>, Problem> {
    let filter = |state| ApprovalFilter {
        state: Some(state),
        app: Some(app.to_owned()),
        commit: Some(commit.to_owned()),
        now: Some(call.now()),
        limit: 200,
        ..ApprovalFilter::default()
    };
    for row in call.store().approvals_list(filter(ApprovalState::Expired)).await? {
        if row.state.is_live() && row.deployer == parties.deployer {
            let unwritten =
                |_| Problem::new(503, "database-unavailable", "the end of the last request cannot be noted");
            expire(call.store(), &call.gate().audit, &row, call.now()).await.map_err(unwritten)?;
        }
    }
    let rows = call.store().approvals_live(app, &parties.deployer, call.now()).await?;
    Ok(rows.into_iter().find(|row| row.commit == commit))
}

/// A request that is there already, for those who may read it.
async fn existing<A: Action>(call: &Call<A>, row: ApprovalRow) -> Answer {
    let question = resource(call, &row, row.counted().count());
    if call.granted().would(call.gate(), action("deploy-approval:read")?, &question) != Some(Verdict::Allow) {
        let what = format!("deploy approval {} is about the same; those behind it may read it", row.id);
        return Err(Problem::new(409, "conflict", what));
    }
    Reply::json(&super::decide::with_needed(call, row).await?)
}

/// On the record: what is asked for, with a digest of all of it, so that nobody can change the row unseen.
async fn record<A: Action>(call: &Call<A>, new: &NewApproval) -> Result<(), Problem> {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let change = [
        ("approval", new.id.clone()),
        ("commit", new.commit.clone()),
        ("deployer", format!("{}::{}", new.deployer.kind, new.deployer.id)),
        ("behind", new.users.join(",")),
        ("running_release", of(&new.running_release)),
        ("parent_release", of(&new.parent_release)),
        ("env_changes", new.env_changes.join(",")),
        ("texts_sha256", digest(&[&new.message, &of(&new.branch), &of(&new.pr_url), &ci(new.ci.as_ref())])),
    ];
    let change: Vec<(&str, &str)> = change.iter().map(|(name, value)| (*name, value.as_str())).collect();
    call.record_change(&change).await
}

fn ci(ci: Option<&Value>) -> String {
    ci.map(Value::to_string).unwrap_or_default()
}

/// SHA-256 over texts, each with its length before it (eight bytes, most significant first).
pub(super) fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    }
    hex::encode(&hash.finalize()[..])
}

/// Requests to deploy, the newest first: those that whoever asks may read. A page may hold fewer than `limit`, and
/// none at all, while there are more.
#[utoipa::path(get, path = "/api/v1/deploy-approvals", tag = "deploy approvals", responses(
    (status = 200, body = Page<DeployApproval>),
))]
pub(in crate::api) async fn list(call: Call<DeployApprovalList>) -> Answer {
    let wanted = Wanted::of(&call)?;
    let query = call.granted().query();
    let state = query.get("state").map(|word| {
        let words = ApprovalState::ALL.map(ApprovalState::as_str).join(", ");
        ApprovalState::parse(word).ok_or_else(|| Problem::invalid(format!("state must be one of {words}")))
    });
    let filter = ApprovalFilter {
        state: state.transpose()?,
        app: query.get("app").map(str::to_owned),
        commit: query.get("commit").map(commit).transpose()?,
        after: wanted.after.clone(),
        now: Some(call.now()),
        limit: wanted.rows(),
    };
    let rows = call.store().approvals_list(filter).await?;
    let reading = action("deploy-approval:read")?;
    let page = wanted.page(
        rows,
        |row| row.id.as_str(),
        |row| {
            let question = resource(&call, &row, row.counted().count());
            let may = call.granted().would(call.gate(), reading, &question) == Some(Verdict::Allow);
            may.then(|| shown(&call, row))
        },
    );
    Reply::json(&page)
}

/// A request to deploy.
#[utoipa::path(
    get, path = "/api/v1/apps/{app}/deploy-approvals/{approval}", tag = "deploy approvals",
    responses((status = 200, body = DeployApproval))
)]
pub(in crate::api) async fn read(call: Call<DeployApprovalRead>) -> Answer {
    let row = found(&call).await?;
    Reply::json(&super::decide::with_needed(&call, row).await?)
}
