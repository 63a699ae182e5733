//! Deploy approvals as they are stored: making and finding them. What becomes of one is in
//! `approval_change.rs`.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{ConnectionTrait, DatabaseTransaction, ExprTrait as _, QueryOrder as _, QuerySelect as _, Select};
use time::OffsetDateTime;

use super::append::loaded;
use super::approval_change::expire;
use super::approval_row::{ApprovalRow, ApprovalState, NewApproval, Party, Vote};
use super::outbox::outbox_add;
use super::value::{begin, list_from, list_text, second, sorted};
use super::{Store, StoreError};

pub(super) mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deploy_approvals")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub app: String,
        pub git_commit: String,
        pub branch: Option<String>,
        pub message: String,
        pub pr_url: Option<String>,
        pub ci: Option<String>,
        pub state: String,
        pub reason: Option<String>,
        pub requester_kind: String,
        pub requester_id: String,
        pub deployer_kind: String,
        pub deployer_id: String,
        pub users: String,
        pub created_at: TimeDateTimeWithTimeZone,
        pub expires_at: TimeDateTimeWithTimeZone,
        pub approved_at: Option<TimeDateTimeWithTimeZone>,
        pub ended_at: Option<TimeDateTimeWithTimeZone>,
        pub ended_by_kind: Option<String>,
        pub ended_by_id: Option<String>,
        pub extensions: i64,
        pub running_release: Option<String>,
        pub parent_release: Option<String>,
        pub env_changes: String,
        pub version: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod vote {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deploy_approval_votes")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub approval_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: String,
        pub at: TimeDateTimeWithTimeZone,
        pub notes: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

impl NewApproval {
    fn into_model(self, now: OffsetDateTime) -> Result<entity::ActiveModel, StoreError> {
        Ok(entity::ActiveModel {
            id: Set(self.id),
            app: Set(self.app),
            git_commit: Set(self.commit),
            branch: Set(self.branch),
            message: Set(self.message),
            pr_url: Set(self.pr_url),
            ci: Set(self.ci.map(|ci| ci.to_string())),
            state: Set(ApprovalState::Pending.as_str().to_owned()),
            reason: Set(None),
            requester_kind: Set(self.requester.kind),
            requester_id: Set(self.requester.id),
            deployer_kind: Set(self.deployer.kind),
            deployer_id: Set(self.deployer.id),
            users: Set(list_text(&sorted(self.users))),
            created_at: Set(second(now)),
            expires_at: Set(second(self.expires_at)),
            approved_at: Set(None),
            ended_at: Set(None),
            ended_by_kind: Set(None),
            ended_by_id: Set(None),
            extensions: Set(0),
            running_release: Set(self.running_release),
            parent_release: Set(self.parent_release),
            env_changes: Set(list_text(&sorted(self.env_changes))),
            version: Set(1),
        })
    }
}

/// Which requests to list. All that is given must match, as a whole and in the same case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApprovalFilter {
    /// In this state by [`ApprovalFilter::now`].
    pub state: Option<ApprovalState>,
    /// Of this app.
    pub app: Option<String>,
    /// Of this commit.
    pub commit: Option<String>,
    /// Made before this one, by id.
    pub after: Option<String>,
    /// By when the state is meant.
    pub now: Option<OffsetDateTime>,
    /// At most so many.
    pub limit: u64,
}

impl ApprovalFilter {
    fn select(self) -> Select<Entity> {
        let mut select = Entity::find().order_by_desc(Column::Id).limit(self.limit);
        if let Some(state) = self.state {
            select = select.filter(is_in(state, self.now));
        }
        if let Some(app) = self.app {
            select = select.filter(Column::App.eq(app));
        }
        if let Some(commit) = self.commit {
            select = select.filter(Column::GitCommit.eq(commit));
        }
        if let Some(after) = self.after {
            select = select.filter(Column::Id.lt(after));
        }
        select
    }
}

/// In this state, where what is over counts as expired.
fn is_in(state: ApprovalState, now: Option<OffsetDateTime>) -> SimpleExpr {
    let stored = Column::State.eq(state.as_str());
    match (state, now) {
        (ApprovalState::Pending | ApprovalState::Approved, Some(now)) => stored.and(Column::ExpiresAt.gt(second(now))),
        (ApprovalState::Expired, Some(now)) => stored.or(is_live().and(Column::ExpiresAt.lte(second(now)))),
        _ => stored,
    }
}

pub(super) fn is_live() -> SimpleExpr {
    Column::State.is_in([ApprovalState::Pending, ApprovalState::Approved].map(ApprovalState::as_str))
}

fn is_of(app: &str, deployer: &Party) -> SimpleExpr {
    Column::App
        .eq(app)
        .and(Column::DeployerKind.eq(deployer.kind.as_str()))
        .and(Column::DeployerId.eq(deployer.id.as_str()))
}

fn row(model: entity::Model, votes: Vec<Vote>) -> Result<ApprovalRow, StoreError> {
    let not_json = |_| StoreError::Corrupt("what a CI system said is not JSON".to_owned());
    let state = ApprovalState::parse(&model.state)
        .ok_or_else(|| StoreError::Corrupt("a deploy approval is in no known state".to_owned()))?;
    Ok(ApprovalRow {
        state,
        ci: model.ci.as_deref().map(serde_json::from_str).transpose().map_err(not_json)?,
        users: list_from(&model.users)?,
        env_changes: list_from(&model.env_changes)?,
        extensions: u32::try_from(model.extensions).unwrap_or(u32::MAX),
        version: loaded(model.version)?,
        requester: Party::new(model.requester_kind, model.requester_id),
        deployer: Party::new(model.deployer_kind, model.deployer_id),
        ended_by: model.ended_by_kind.zip(model.ended_by_id).map(|(kind, id)| Party { kind, id }),
        id: model.id,
        app: model.app,
        commit: model.git_commit,
        branch: model.branch,
        message: model.message,
        pr_url: model.pr_url,
        reason: model.reason,
        created_at: model.created_at,
        expires_at: model.expires_at,
        approved_at: model.approved_at,
        ended_at: model.ended_at,
        running_release: model.running_release,
        parent_release: model.parent_release,
        votes,
    })
}

/// The rows with their votes.
pub(super) async fn with_votes(
    db: &impl ConnectionTrait,
    models: Vec<entity::Model>,
) -> Result<Vec<ApprovalRow>, StoreError> {
    let ids: Vec<String> = models.iter().map(|model| model.id.clone()).collect();
    let mut votes = Vec::new();
    if !ids.is_empty() {
        let select = vote::Entity::find().filter(vote::Column::ApprovalId.is_in(ids));
        let select = select.order_by_asc(vote::Column::At).order_by_asc(vote::Column::UserId);
        votes = select.all(db).await?;
    }
    let of = |id: &str| {
        let mine = votes.iter().filter(|vote| vote.approval_id == id);
        mine.map(|vote| Vote { user_id: vote.user_id.clone(), at: vote.at, notes: vote.notes.clone() }).collect()
    };
    models
        .into_iter()
        .map(|model| {
            let votes = of(&model.id);
            row(model, votes)
        })
        .collect()
}

/// Reads a request and keeps everybody else from changing it until the transaction ends.
pub(super) async fn held(tx: &DatabaseTransaction, id: &str) -> Result<ApprovalRow, StoreError> {
    let model = Entity::find_by_id(id).lock_exclusive().one(tx).await?.ok_or(StoreError::NotFound)?;
    with_votes(tx, vec![model]).await?.pop().ok_or(StoreError::NotFound)
}

impl Store {
    /// Adds a request, and its notice in the same transaction. While one for the same app, commit and deployer
    /// is pending or approved, gives that back instead; whether it is new.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id exists, or another process added the same at this moment: try again;
    /// [`StoreError::Unavailable`].
    pub async fn approval_request(
        &self,
        new: NewApproval,
        now: OffsetDateTime,
    ) -> Result<(ApprovalRow, bool), StoreError> {
        let same = is_of(&new.app, &new.deployer).and(Column::GitCommit.eq(&new.commit)).and(is_live());
        let same = Entity::find().filter(same).lock_exclusive();
        let (insert, db) = (new.into_model(now)?, self.inner.write.clone());
        self.run(async move {
            let tx = begin(&db).await?;
            if let Some(found) = same.one(&tx).await? {
                let live = with_votes(&tx, vec![found]).await?.pop().ok_or(StoreError::NotFound)?;
                if live.state_at(now).is_live() {
                    return Ok((live, false));
                }
                expire(&tx, &live, now).await?;
            }
            let made = row(Entity::insert(insert).exec_with_returning(&tx).await?, Vec::new())?;
            outbox_add(&tx, &made.notice("deploy-approval.requested", now)).await?;
            tx.commit().await?;
            Ok((made, true))
        })
        .await
    }

    /// Finds a request by id, whatever became of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn approval_find(&self, id: &str) -> Result<Option<ApprovalRow>, StoreError> {
        Ok(self.approvals_where(Entity::find_by_id(id)).await?.pop())
    }

    /// The grants of an app that this deployer may use now, the oldest approval first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn approvals_open(
        &self,
        app: &str,
        deployer: &Party,
        now: OffsetDateTime,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let is_it = is_of(app, deployer).and(is_in(ApprovalState::Approved, Some(now)));
        let select = Entity::find().filter(is_it).order_by_asc(Column::ApprovedAt).order_by_asc(Column::Id);
        self.approvals_where(select).await
    }

    /// The requests of an app that are pending or approved for this deployer now, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn approvals_live(
        &self,
        app: &str,
        deployer: &Party,
        now: OffsetDateTime,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let is_it = is_of(app, deployer).and(is_live()).and(Column::ExpiresAt.gt(second(now)));
        self.approvals_where(Entity::find().filter(is_it).order_by_asc(Column::Id)).await
    }

    /// Requests, the newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn approvals_list(&self, filter: ApprovalFilter) -> Result<Vec<ApprovalRow>, StoreError> {
        self.approvals_where(filter.select()).await
    }

    /// Ids of requests whose time is over and that do not say so yet; at most so many.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn approvals_past(&self, now: OffsetDateTime, limit: u64) -> Result<Vec<ApprovalRow>, StoreError> {
        let is_past = is_live().and(Column::ExpiresAt.lte(second(now)));
        self.approvals_where(Entity::find().filter(is_past).order_by_asc(Column::ExpiresAt).limit(limit)).await
    }

    async fn approvals_where(&self, select: Select<Entity>) -> Result<Vec<ApprovalRow>, StoreError> {
        let db = self.inner.read.clone();
        self.run(async move {
            let models = select.all(&db).await?;
            with_votes(&db, models).await
        })
        .await
    }
}
