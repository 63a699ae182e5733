//! Steps of deploys under an approval: claimed before the rack hears of them, then done or freed.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::{Condition, ExprTrait as _, QueryOrder as _};
use time::OffsetDateTime;

use super::approval::held;
use super::approval_row::{ApprovalState, Party};
use super::value::{begin, second};
use super::{Store, StoreError};

mod entity {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deploy_steps")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub approval_id: String,
        pub app: String,
        pub step: String,
        pub subject: String,
        pub state: String,
        pub result: Option<String>,
        pub digest: Option<String>,
        pub by_kind: String,
        pub by_id: String,
        pub request_id: String,
        pub claimed_at: TimeDateTimeWithTimeZone,
        pub ended_at: Option<TimeDateTimeWithTimeZone>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

use entity::{Column, Entity};

/// What is done in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeployStepKind {
    /// An object is uploaded; its key is the subject, its SHA-256 the digest, its URL the result.
    Upload,
    /// An object is built; its key is the subject, the SHA-256 of its manifest the digest, the build the result.
    Build,
    /// A release is made of a build; the build is the subject, the release the result.
    Release,
    /// A release is promoted; it is the subject.
    Promote,
    /// A process is started; the release is the subject, the process the result.
    Start,
}

impl DeployStepKind {
    const ALL: [Self; 5] = [Self::Upload, Self::Build, Self::Release, Self::Promote, Self::Start];

    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Build => "build",
            Self::Release => "release",
            Self::Promote => "promote",
            Self::Start => "start",
        }
    }
}

/// What has become of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepState {
    /// The rack was asked, or is about to be; it is not known what came of it.
    Claimed,
    /// The rack did it.
    Done,
    /// The rack did not do it: it may be tried again.
    Freed,
}

impl StepState {
    const ALL: [Self; 3] = [Self::Claimed, Self::Done, Self::Freed];

    /// The word in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Done => "done",
            Self::Freed => "freed",
        }
    }
}

/// A step, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeployStep {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// The approval that it is taken under.
    pub approval_id: String,
    /// The app.
    pub app: String,
    /// What is done.
    pub step: DeployStepKind,
    /// With what.
    pub subject: String,
    /// What has become of it.
    pub state: StepState,
    /// What the rack made of it.
    pub result: Option<String>,
    /// SHA-256 in lower-case hexadecimal digits.
    pub digest: Option<String>,
    /// Who takes it.
    pub by: Party,
    /// Id of the request.
    pub request_id: String,
    /// When.
    pub claimed_at: OffsetDateTime,
    /// When it was known what came of it.
    pub ended_at: Option<OffsetDateTime>,
}

/// A step to claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeployStep {
    /// Its id, a UUID of version 7.
    pub id: String,
    /// The approval that it is taken under.
    pub approval_id: String,
    /// The app.
    pub app: String,
    /// What is done.
    pub step: DeployStepKind,
    /// With what.
    pub subject: String,
    /// SHA-256 in lower-case hexadecimal digits, where it is known already.
    pub digest: Option<String>,
    /// Who takes it.
    pub by: Party,
    /// Id of the request.
    pub request_id: String,
}

impl TryFrom<entity::Model> for DeployStep {
    type Error = StoreError;

    fn try_from(model: entity::Model) -> Result<Self, StoreError> {
        let unknown = || StoreError::Corrupt("a step of a deploy is of no known kind".to_owned());
        let step = DeployStepKind::ALL.into_iter().find(|step| step.as_str() == model.step).ok_or_else(unknown)?;
        let state = StepState::ALL.into_iter().find(|state| state.as_str() == model.state).ok_or_else(unknown)?;
        Ok(Self {
            step,
            state,
            by: Party::new(model.by_kind, model.by_id),
            id: model.id,
            approval_id: model.approval_id,
            app: model.app,
            subject: model.subject,
            result: model.result,
            digest: model.digest,
            request_id: model.request_id,
            claimed_at: model.claimed_at,
            ended_at: model.ended_at,
        })
    }
}

/// What stands in the way of a claim, as the unique indexes have it.
fn takes(new: &NewDeployStep) -> Condition {
    let same =
        Condition::all().add(Column::Step.eq(new.step.as_str())).add(Column::State.ne(StepState::Freed.as_str()));
    let of_grant =
        same.clone().add(Column::ApprovalId.eq(&new.approval_id)).add(Column::Step.ne(DeployStepKind::Start.as_str()));
    let once = [DeployStepKind::Upload, DeployStepKind::Build, DeployStepKind::Promote].map(DeployStepKind::as_str);
    let of_subject =
        same.add(Column::App.eq(&new.app)).add(Column::Subject.eq(&new.subject)).add(Column::Step.is_in(once));
    Condition::any().add(Column::Id.eq(&new.id)).add(of_grant).add(of_subject)
}

impl Store {
    /// Claims a step of a grant that can be used now. Whoever holds the grant's row meanwhile is waited for, so a
    /// grant that was taken back gives no claim any more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the step was taken already, or its subject was; [`StoreError::Stale`] when the
    /// grant cannot be used; [`StoreError::NotFound`]; [`StoreError::Unavailable`].
    pub async fn deploy_step_claim(&self, new: NewDeployStep, now: OffsetDateTime) -> Result<(), StoreError> {
        let (db, approval) = (self.inner.write.clone(), new.approval_id.clone());
        let taken = Entity::find().filter(takes(&new));
        let insert = entity::ActiveModel {
            id: Set(new.id),
            approval_id: Set(new.approval_id),
            app: Set(new.app),
            step: Set(new.step.as_str().to_owned()),
            subject: Set(new.subject),
            state: Set(StepState::Claimed.as_str().to_owned()),
            result: Set(None),
            digest: Set(new.digest),
            by_kind: Set(new.by.kind),
            by_id: Set(new.by.id),
            request_id: Set(new.request_id),
            claimed_at: Set(second(now)),
            ended_at: Set(None),
        };
        self.run(async move {
            let tx = begin(&db).await?;
            if held(&tx, &approval).await?.state_at(now) != ApprovalState::Approved {
                return Err(StoreError::Stale);
            }
            // SQLite does not tell the trigger that would refuse it from any other.
            if taken.one(&tx).await?.is_some() {
                return Err(StoreError::Conflict("this step was taken already".to_owned()));
            }
            Entity::insert(insert).exec(&tx).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Notes what the rack made of a claimed step.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when it is not claimed; [`StoreError::Unavailable`].
    pub async fn deploy_step_done(
        &self,
        id: &str,
        result: Option<&str>,
        digest: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.deploy_step_end(id, StepState::Done, result, digest, now).await
    }

    /// Notes that the rack did not do a claimed step.
    ///
    /// # Errors
    /// As [`Store::deploy_step_done`].
    pub async fn deploy_step_free(&self, id: &str, now: OffsetDateTime) -> Result<(), StoreError> {
        self.deploy_step_end(id, StepState::Freed, None, None, now).await
    }

    async fn deploy_step_end(
        &self,
        id: &str,
        state: StepState,
        result: Option<&str>,
        digest: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut update = Entity::update_many()
            .col_expr(Column::State, Expr::value(state.as_str()))
            .col_expr(Column::Result, Expr::value(result.map(str::to_owned)))
            .col_expr(Column::EndedAt, Expr::value(Some(second(now))))
            .filter(Column::Id.eq(id))
            .filter(Column::State.eq(StepState::Claimed.as_str()));
        if let Some(digest) = digest {
            update = update.col_expr(Column::Digest, Expr::value(Some(digest.to_owned())));
        }
        let db = self.inner.write.clone();
        self.run(async move {
            let changed = update.exec(&db).await?.rows_affected;
            if changed == 1 { Ok(()) } else { Err(StoreError::Stale) }
        })
        .await
    }

    /// The steps that were taken under these approvals, freed ones left out, in their order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn deploy_steps(&self, approvals: Vec<String>) -> Result<Vec<DeployStep>, StoreError> {
        if approvals.is_empty() {
            return Ok(Vec::new());
        }
        self.deploy_steps_where(Column::ApprovalId.is_in(approvals)).await
    }

    /// The step of this deployer that made this, whatever became of the approval since.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn deploy_step_that_made(
        &self,
        app: &str,
        by: &Party,
        step: DeployStepKind,
        result: &str,
    ) -> Result<Option<DeployStep>, StoreError> {
        let is_it = Column::App
            .eq(app)
            .and(Column::Step.eq(step.as_str()))
            .and(Column::Result.eq(result))
            .and(Column::ByKind.eq(by.kind.as_str()))
            .and(Column::ById.eq(by.id.as_str()));
        Ok(self.deploy_steps_where(is_it).await?.pop())
    }

    /// The last step of this kind that this deployer took in an app.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn deploy_step_last(
        &self,
        app: &str,
        by: &Party,
        step: DeployStepKind,
    ) -> Result<Option<DeployStep>, StoreError> {
        let is_it = Column::App
            .eq(app)
            .and(Column::Step.eq(step.as_str()))
            .and(Column::ByKind.eq(by.kind.as_str()))
            .and(Column::ById.eq(by.id.as_str()))
            .and(Column::State.ne(StepState::Freed.as_str()));
        let (db, select) = (self.inner.read.clone(), Entity::find().filter(is_it).order_by_desc(Column::Id));
        self.run(async move { select.one(&db).await?.map(DeployStep::try_from).transpose() }).await
    }

    async fn deploy_steps_where(&self, is_it: sea_orm::sea_query::SimpleExpr) -> Result<Vec<DeployStep>, StoreError> {
        let db = self.inner.read.clone();
        let select = Entity::find().filter(is_it).filter(Column::State.ne(StepState::Freed.as_str()));
        let select = select.order_by_asc(Column::Id);
        self.run(async move { select.all(&db).await?.into_iter().map(DeployStep::try_from).collect() }).await
    }
}
