//! Deploy approvals as other rooms see them: what was asked for, by whom, and what became of it.

use serde_json::json;
use time::OffsetDateTime;

use super::outbox::Notice;
use super::value::second;

/// What has become of a request to deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApprovalState {
    /// It waits for its approvals.
    Pending,
    /// It is a grant.
    Approved,
    /// The grant was used.
    Deployed,
    /// An approver said no.
    Rejected,
    /// Its time was over.
    Expired,
    /// It was taken back, or what came was not what was approved.
    Revoked,
}

impl ApprovalState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Approved, Self::Deployed, Self::Rejected, Self::Expired, Self::Revoked];

    /// The word in the database, in policy and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Deployed => "deployed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether something can still become of it.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }
}

/// Who asks, deploys or ends a request: a principal of policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Party {
    /// `User`, `ApiToken` or `Workload`.
    pub kind: String,
    /// Its id.
    pub id: String,
}

impl Party {
    /// Out of the two.
    #[must_use]
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into() }
    }
}

/// That somebody agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Who.
    pub user_id: String,
    /// When.
    pub at: OffsetDateTime,
    /// What they say about it; may be empty.
    pub notes: String,
}

/// A request to deploy one commit of one app, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// The app.
    pub app: String,
    /// The commit: 40 or 64 hexadecimal digits in lower case.
    pub commit: String,
    /// The branch, as whoever asked named it.
    pub branch: Option<String>,
    /// What it is about, for approvers.
    pub message: String,
    /// The pull request, as whoever asked named it.
    pub pr_url: Option<String>,
    /// What the CI system says about itself.
    pub ci: Option<serde_json::Value>,
    /// What has become of it, as stored: see [`ApprovalRow::state_at`].
    pub state: ApprovalState,
    /// Why it ended, where somebody or something ended it.
    pub reason: Option<String>,
    /// Who asked.
    pub requester: Party,
    /// Who may use the grant.
    pub deployer: Party,
    /// The people behind it: who asked, and who made the tokens that asked or that shall deploy. Their
    /// approval never counts.
    pub users: Vec<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when on it is over.
    pub expires_at: OffsetDateTime,
    /// When it became a grant.
    pub approved_at: Option<OffsetDateTime>,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
    /// Who ended it; nobody when its time was over.
    pub ended_by: Option<Party>,
    /// How often its life was extended.
    pub extensions: u32,
    /// Who agrees, in order of time; those behind it included.
    pub votes: Vec<Vote>,
    /// The release that ran when it was made.
    pub running_release: Option<String>,
    /// The newest release at that time, whose environment a build copies.
    pub parent_release: Option<String>,
    /// The names of the variables that differ between the two.
    pub env_changes: Vec<String>,
    /// Grows with every change.
    pub version: u64,
}

impl ApprovalRow {
    /// What has become of it by then: one whose time is over has expired, swept or not.
    #[must_use]
    pub fn state_at(&self, now: OffsetDateTime) -> ApprovalState {
        if self.state.is_live() && self.expires_at <= second(now) { ApprovalState::Expired } else { self.state }
    }

    /// What others hear of it, as `kind` says.
    #[must_use]
    pub fn notice(&self, kind: &'static str, at: OffsetDateTime) -> Notice {
        let party = |party: &Party| json!({ "kind": party.kind, "id": party.id });
        let data = json!({
            "id": self.id,
            "app": self.app,
            "commit": self.commit,
            "branch": self.branch,
            "message": self.message,
            "pr_url": self.pr_url,
            "requester": party(&self.requester),
            "deployer": party(&self.deployer),
            "approvals": self.counted().count(),
        });
        Notice { kind, data, at }
    }

    /// The votes of people who are not behind it.
    pub fn counted(&self) -> impl Iterator<Item = &Vote> {
        self.votes.iter().filter(|vote| !self.users.contains(&vote.user_id))
    }
}

/// A request to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApproval {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// The app.
    pub app: String,
    /// The commit: 40 or 64 hexadecimal digits in lower case.
    pub commit: String,
    /// The branch.
    pub branch: Option<String>,
    /// What it is about.
    pub message: String,
    /// The pull request.
    pub pr_url: Option<String>,
    /// What the CI system says about itself.
    pub ci: Option<serde_json::Value>,
    /// Who asks.
    pub requester: Party,
    /// Who may use the grant.
    pub deployer: Party,
    /// The people behind it.
    pub users: Vec<String>,
    /// From when on it is over.
    pub expires_at: OffsetDateTime,
    /// The release that runs.
    pub running_release: Option<String>,
    /// The newest release.
    pub parent_release: Option<String>,
    /// The names of the variables that differ between the two.
    pub env_changes: Vec<String>,
}
