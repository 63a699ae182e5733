//! Which request is meant.

use serde::Deserialize;
use serde_json::Value;

use super::super::World;
use super::super::api::Gateway;
use super::super::error::ClientError;
use super::super::target::Target;
use super::super::text::plain;
use super::{Approval, Which, checkout};

/// Requests of one answer.
const PAGE: usize = 100;
/// Most answers that are looked through for an id.
const PAGES: usize = 100;

/// A page of requests, as they came.
#[derive(Deserialize)]
pub(super) struct Found {
    pub(super) items: Vec<Value>,
    pub(super) next: Option<String>,
}

/// A gateway, and the credential that is shown to it.
pub(super) struct Caller<'a> {
    pub(super) gateway: &'a Gateway<'a>,
    pub(super) target: &'a Target,
    pub(super) token: &'a str,
}

impl<'a> Caller<'a> {
    pub(super) fn new(gateway: &'a Gateway<'a>, target: &'a Target, world: &World<'_>) -> Result<Self, ClientError> {
        Ok(Self { gateway, target, token: target.token(world)?.expose() })
    }

    /// A page of the requests that one may see, the newest first.
    pub(super) async fn page(
        &self,
        filter: &[(&'static str, String)],
        limit: usize,
        after: Option<String>,
    ) -> Result<Found, ClientError> {
        let mut query = filter.to_vec();
        query.push(("limit", limit.min(PAGE).to_string()));
        query.extend(after.map(|cursor| ("cursor", cursor)));
        let answer = self.gateway.get_with(&["api", "v1", "deploy-approvals"], &query, self.token).await?;
        answer.expect_status(200).map_err(|error| self.target.explain(error))?.json()
    }

    /// A request as it came.
    pub(super) async fn read(&self, app: &str, id: &str) -> Result<Value, ClientError> {
        let path = ["api", "v1", "apps", app, "deploy-approvals", id];
        let answer = self.gateway.get(&path, self.token).await?;
        answer.expect_status(200).map_err(|error| self.target.explain(error))?.json()
    }

    /// App and id of the request that is meant.
    pub(super) async fn find(&self, which: &Which) -> Result<(String, String), ClientError> {
        match (&which.id, &which.app, &which.git_commit) {
            (Some(id), Some(app), _) => Ok((app.clone(), id.clone())),
            (Some(id), None, _) => self.with_id(id).await,
            (None, Some(app), Some(commit)) => self.waiting(app, commit).await,
            (None, ..) => Err(ClientError::NoApproval("name it by its id, or by --app and --git-commit".to_owned())),
        }
    }

    async fn with_id(&self, id: &str) -> Result<(String, String), ClientError> {
        let mut after = None;
        for _ in 0..PAGES {
            let page = self.page(&[], PAGE, after).await.map_err(unsearchable)?;
            let mut all = page.items.into_iter().filter_map(|item| serde_json::from_value::<Approval>(item).ok());
            if let Some(found) = all.find(|approval| approval.id == id) {
                return Ok((found.app, found.id));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Err(ClientError::NoApproval(format!("there is no request {}, or it is not for you to see", plain(id))))
    }

    /// The one request for a commit of an app that waits; where none does, the newest.
    async fn waiting(&self, app: &str, commit: &str) -> Result<(String, String), ClientError> {
        let whole = if checkout::is_commit(commit) { Some(commit.to_owned()) } else { checkout::commit(commit) };
        let whole = whole.ok_or_else(|| ClientError::NoCommit(plain(commit)))?;
        let filter = [("app", app.to_owned()), ("commit", whole)];
        let mut all: Vec<Approval> = Vec::new();
        let mut after = None;
        for _ in 0..PAGES {
            let page = self.page(&filter, PAGE, after).await?;
            all.extend(page.items.into_iter().filter_map(|item| serde_json::from_value(item).ok()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let waiting: Vec<&Approval> = all.iter().filter(|approval| approval.state == "pending").collect();
        match (waiting.as_slice(), all.first()) {
            ([one], _) => Ok((one.app.clone(), one.id.clone())),
            ([], Some(newest)) => Ok((newest.app.clone(), newest.id.clone())),
            ([], None) => Err(ClientError::NoApproval("nobody asked for that, or it is not for you to see".to_owned())),
            (several, _) => {
                let ids: Vec<_> = several.iter().map(|approval| plain(&approval.id)).collect();
                Err(ClientError::NoApproval(format!("several requests wait for that, name one: {}", ids.join(", "))))
            }
        }
    }
}

/// A token that is limited to apps may not list: with the app nothing is looked for.
fn unsearchable(error: ClientError) -> ClientError {
    match error {
        ClientError::Refused(problem) if problem.status == 403 => {
            ClientError::NoApproval(format!("name its app as well, by --app: {problem}"))
        }
        error => error,
    }
}
